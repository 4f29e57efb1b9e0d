"""The journal as a file: private, and untouched by whoever reads or is refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from alma.errors import JournalError
from alma.journal import open_journal
from alma.journal.sqlite.schema import APPLICATION_ID, VERSION
from tests.journal.tools import (
    a_run,
    content,
    files_of,
    fill,
    intended,
)


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Directory 0700, file 0600, also those that SQLite makes beside it."""
    path = tmp_path / "a" / "b" / "journal.db"
    before = os.umask(umask)
    try:
        with a_run(path) as (journal, lease):
            journal.append("r1", intended(), lease)
            made = {each.name: mode(each) for each in path.parent.iterdir() if each.is_file()}
    finally:
        os.umask(before)
    names = ("journal.db", "journal.db-wal", "journal.db-shm")
    assert made == dict.fromkeys(names, 0o600)
    assert [mode(each) for each in (tmp_path / "a", path.parent)] == [0o700, 0o700]


def test_an_existing_directory_is_left_as_it_is(tmp_path: Path) -> None:
    """The mode of a directory that was there is its owner's business."""
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared").chmod(0o755)
    with a_run(tmp_path / "shared" / "journal.db"):
        assert mode(tmp_path / "shared") == 0o755


def look(path: Path) -> None:
    with open_journal(path, write=False) as journal:
        journal.runs()
        journal.events("r1")
        journal.holder("shop/dev")
        journal.head()
        journal.verify()


def test_reading_no_journal_makes_nothing(path: Path) -> None:
    """Where there is no journal, the reading commands see no runs and leave no trace."""
    with open_journal(path, write=False) as journal:
        assert journal.runs() == []
        assert journal.events("r1") == []
        assert journal.head().position == 0
        assert journal.verify().ok
    assert not path.parent.exists()


def test_reading_at_rest_changes_nothing(path: Path) -> None:
    """No byte, no time of change, no file beside a journal that nobody has open."""
    fill(path)
    before, when = files_of(path), path.stat().st_mtime_ns
    look(path)
    assert files_of(path) == before
    assert path.stat().st_mtime_ns == when


def test_reading_beside_a_writer_changes_neither_file_nor_log(path: Path) -> None:
    """A reader neither checkpoints nor truncates what a live runner has written."""
    with a_run(path):
        before = files_of(path)
        look(path)
        after = files_of(path)
        del before["journal.db-shm"], after["journal.db-shm"]  # where SQLite notes its readers
        assert after == before
    assert len(content(path)[0]) == 1


def test_reading_after_a_crash_changes_neither_file_nor_log(path: Path, tmp_path: Path) -> None:
    """A log that a dead runner left is read, and stays."""
    crashed = tmp_path / "crashed" / "journal.db"
    crashed.parent.mkdir()
    with a_run(path) as (journal, lease):
        journal.append("r1", intended(), lease)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{crashed}{suffix}")
    before = files_of(crashed)
    with open_journal(crashed, write=False) as reader:
        assert len(reader.events("r1")) == 2
    after = files_of(crashed)
    after.pop("journal.db-shm", None)
    assert after == before


def test_an_empty_file_is_a_journal_without_runs(path: Path) -> None:
    """As `mktemp` makes it: read as empty and left so; the first writer makes a journal of it."""
    path.parent.mkdir()
    path.touch()
    look(path)
    assert files_of(path) == {"journal.db": b""}
    fill(path)
    look(path)


def newer(path: Path) -> None:
    fill(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE events (x)")
    connection.commit()
    connection.close()


def foreign_id(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID + 1}")
    connection.close()


def no_database(path: Path) -> None:
    path.write_bytes(b"# notes\n" * 1000)


def bad_header(path: Path) -> None:
    fill(path)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def cut_in_page_one(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes()[:1000])


def cut_to_nothing(path: Path) -> None:
    path.touch()
    path.with_name("journal.db-wal").write_bytes(b"\x37\x7f\x06\x82" * 100)


REFUSED: dict[Callable[[Path], None], str] = {
    newer: f"newer alma: its schema is version {VERSION + 1}, this one knows {VERSION}",
    foreign: "something else",
    foreign_id: "something else",
    no_database: "no SQLite database",
    bad_header: "no SQLite database",
    cut_in_page_one: "damaged",
    cut_to_nothing: "cut off",
}


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_what_is_no_journal_is_refused_untouched(
    path: Path, spoil: Callable[[Path], None], *, write: bool
) -> None:
    """One clear sentence, no byte changed, and nothing left beside the file."""
    path.parent.mkdir()
    spoil(path)
    before, when = files_of(path), path.stat().st_mtime_ns
    with pytest.raises(JournalError, match=REFUSED[spoil]) as caught:
        open_journal(path, write=write)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert files_of(path) == before
    assert path.stat().st_mtime_ns == when


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_a_directory_is_refused(path: Path, *, write: bool) -> None:
    """A path that is a directory is named as such."""
    path.mkdir(parents=True)
    with pytest.raises(JournalError, match="is a directory"):
        open_journal(path, write=write)
    assert not list(path.iterdir())


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_a_symlink_is_refused(path: Path, tmp_path: Path, suffix: str, *, write: bool) -> None:
    """A link is not followed, neither in place of the journal nor of a file beside it."""
    fill(path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(path.read_bytes())
    before = elsewhere.read_bytes()
    Path(f"{path}{suffix}").unlink(missing_ok=True)
    Path(f"{path}{suffix}").symlink_to(elsewhere)
    with pytest.raises(JournalError, match="symbolic link"):
        open_journal(path, write=write)
    assert elsewhere.read_bytes() == before


def test_a_link_to_nothing_is_refused(path: Path, tmp_path: Path) -> None:
    """A dangling link does not make a file where it points to."""
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="symbolic link"):
        open_journal(path, write=True)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_the_file_of_another_user_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, write: bool
) -> None:
    """Who can write to it could make us destroy things."""
    fill(path)
    before = files_of(path)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(JournalError, match=f"another user \\(uid {owner}\\)"):
        open_journal(path, write=write)
    assert files_of(path) == before


def test_a_fifo_is_refused(path: Path) -> None:
    """Nothing waits for the other end of a pipe."""
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(JournalError, match="not a regular file"):
        open_journal(path, write=True)


def test_a_file_in_the_way_of_the_directory_is_refused(tmp_path: Path) -> None:
    """`.alma` may be a file: then it is not touched."""
    (tmp_path / ".alma").write_text("mine")
    with pytest.raises(JournalError, match="Cannot"):
        open_journal(tmp_path / ".alma" / "journal.db", write=True)
    assert (tmp_path / ".alma").read_text() == "mine"


@pytest.mark.parametrize("name", ["a?b=c.db", "a#b.db", "100%41.db", "stück 1.db", "a'b.db"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    """A path is a path: nothing in it is taken for a part of a URI."""
    fill(tmp_path / name)
    look(tmp_path / name)
    assert {each.name for each in tmp_path.iterdir()} == {name, "leases"}


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_journal_removed_while_it_is_open_is_noticed(path: Path, suffix: str) -> None:
    """Nobody goes on writing to a file that has no name any more."""
    with a_run(path) as (journal, lease):
        Path(f"{path}{suffix}").unlink()
        with pytest.raises(JournalError, match="removed or replaced"):
            journal.append("r1", intended(), lease)
