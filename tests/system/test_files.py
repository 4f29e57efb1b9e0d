"""Files that are private, whole or not there, made once, locked and cleaned."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alma.system import files


@pytest.fixture(params=[0o000, 0o177], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is private is so whatever the umask."""
    old = os.umask(request.param)
    yield
    os.umask(old)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_directories_are_private_with_their_parents(tmp_path: Path) -> None:
    """Those that are made; those that were there stay as they are."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(0o755)
    files.make_directory(tmp_path / "old" / "a" / "b")
    files.make_directory(tmp_path / "old" / "a" / "b")
    assert mode(tmp_path / "old") == 0o755
    assert mode(tmp_path / "old" / "a") == mode(tmp_path / "old" / "a" / "b") == 0o700


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        files.make_directory(tmp_path / "file")


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("content", [b"\xff\x00", "t\u00fcr\n"])
def test_a_file_is_replaced_whole(tmp_path: Path, content: bytes | str, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_text("what was there before")
    path.chmod(0o644)
    files.replace(path, content, durable=durable)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_is_no_unicode_can_be_kept(tmp_path: Path) -> None:
    """An error message names a file by bytes that are no text."""
    files.replace(tmp_path / "file", "no such file: \udcff")
    assert (tmp_path / "file").read_text() == "no such file: \\udcff"


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, or gone."""
    path = tmp_path / "file"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.replace(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_is_followed_nowhere(tmp_path: Path) -> None:
    """A symbolic link is replaced, and never written, locked or appended to through."""
    (tmp_path / "precious").write_text("precious")
    link = tmp_path / "link"
    link.symlink_to("precious")
    for follow in (files.open_log, files.try_lock, files.is_locked):
        with pytest.raises(OSError, match="symbolic link"):
            follow(link)
    assert not files.create(link, "new")
    files.replace(link, "new")
    assert not link.is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.usefixtures("umask")
def test_the_first_maker_counts(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert files.create(path, "one")
    assert not files.create(path, "two")
    assert path.read_text() == "one"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def _race(path: Path, barrier: Any, number: int, won: Any) -> None:
    barrier.wait()
    if files.create(path, f"{number}" * 100_000):
        won.put(number)


def test_of_many_makers_one_counts(tmp_path: Path) -> None:
    """Four processes at one moment: one file, whole, and each loser knows."""
    spawn = multiprocessing.get_context("spawn")
    barrier, won = spawn.Barrier(4), spawn.Queue()
    path = tmp_path / "key"
    racers = [spawn.Process(target=_race, args=(path, barrier, number, won)) for number in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert path.read_text() == f"{won.get(timeout=5)}" * 100_000
    assert won.empty()
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have none (exFAT, some of FUSE)."""

    def none(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    assert files.create(tmp_path / "key", "one")
    assert not files.create(tmp_path / "key", "two")


@pytest.mark.usefixtures("umask")
def test_a_log_is_private_and_appended_to(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        with files.open_log(tmp_path / "a.log") as log:
            log.write(line)
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"
    assert mode(tmp_path / "a.log") == 0o600


HOLDER = """
import sys
from pathlib import Path
from alma.system.files import try_lock
lock = try_lock(Path(sys.argv[1]))
print(lock is not None, flush=True)
sys.stdin.read()
"""


def test_a_lock_is_held_until_its_process_ends(tmp_path: Path) -> None:
    """However it ends: killed, it cannot have let go by itself."""
    path = tmp_path / "lock"
    assert not files.is_locked(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert files.is_locked(path)
        assert files.try_lock(path) is None
        holder.kill()
    assert not files.is_locked(path)
    lock = files.try_lock(path)
    assert lock is not None
    assert lock.held
    lock.release()
    lock.release()
    assert not lock.held
    assert not files.is_locked(path)


def test_lookers_do_not_keep_anybody_from_the_lock(tmp_path: Path) -> None:
    """They lock it themselves for a moment, to see."""
    path, over = tmp_path / "lock", threading.Event()

    def look() -> None:
        while not over.is_set():
            files.is_locked(path)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(20):
            lock = files.try_lock(path)
            assert lock is not None
            lock.release()
    finally:
        over.set()
        for looker in lookers:
            looker.join()


def masked(text: str) -> str:
    return text.replace("CANARY", "***")


@pytest.mark.usefixtures("umask")
def test_logs_are_cleaned_and_private(tmp_path: Path) -> None:
    """Bytes that are no text and the ends of lines stay as they are."""
    log, other = tmp_path / "a.log", tmp_path / "not-a-log"
    log.write_bytes(b"before\r\nx CANARY y\n\xff CANARY")
    other.write_text("CANARY")
    files.clean_logs(tmp_path, masked)
    assert log.read_bytes() == b"before\r\nx *** y\n\xff ***"
    assert mode(log) == 0o600
    assert other.read_text() == "CANARY"
    assert sorted(tmp_path.iterdir()) == [log, other]


def test_a_clean_log_is_not_touched(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("nothing in it\n")
    before = log.stat().st_ino
    files.clean_logs(tmp_path, masked)
    assert log.stat().st_ino == before


def test_a_log_that_cannot_be_cleaned_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "a.log"
    log.write_text("CANARY\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(log), "replace", full)
    files.clean_logs(tmp_path, masked)
    assert list(tmp_path.iterdir()) == []
