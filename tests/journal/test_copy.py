"""Copying runs from one journal to another: as they are, once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alma.errors import AuthenticationError, JournalError, RunnerBusyError, UntrustedJournalError
from alma.journal import open_journal
from alma.journal.address import PostgresUrl
from alma.journal.encryption import KEY, new_key
from alma.journal.reading import load_run
from alma.runner.copying import Copied, copy_journal
from tests.journal.postgres import POSTGRES, connected, url_of, within
from tests.journal.tools import content, created, fill, intended, open_at, sqlite_of


@pytest.fixture(params=["file to server", "server to file", "file to file"])
def places(
    request: pytest.FixtureRequest, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Path]]:
    """FROM, filled, and TO."""
    monkeypatch.setenv(KEY, new_key())
    ends = {"file": ".db", "server": POSTGRES}
    one, other = (ends[word] for word in str(request.param).split(" to "))
    (tmp_path / "a").mkdir()
    source, target = tmp_path / "a" / f"from{one}", tmp_path / "b" / f"to{other}"
    with within(database):
        fill(source)
        yield source, target


def copied(source: Path, target: Path) -> Copied:
    return copy_journal(*(_address(path) for path in (source, target)))


def _address(path: Path) -> object:
    from alma.journal.address import address_of

    return address_of(url_of(path) if path.suffix == POSTGRES else path)


Places = tuple[Path, Path]


def test_an_empty_journal_becomes_the_same_row_for_row(places: Places) -> None:
    """Places, hashes and seals too; a second copy finds nothing to do."""
    source, target = places
    assert copied(source, target) == Copied(runs=3, events=8, snapshots=0)
    assert content(target) == content(source)
    with open_at(target, write=False) as journal:
        assert journal.verify().ok
        assert journal.others() == []
    assert copied(source, target) == Copied(runs=0, events=0, snapshots=0)
    assert content(target) == content(source)


def test_behind_other_runs_they_are_chained_anew_and_say_the_same(places: Places) -> None:
    source, target = places
    with open_at(target, write=True) as journal, journal.acquire("wiki/dev", "w1") as lease:
        journal.create_run("w1", created("wiki"), lease)
    assert copied(source, target).events == 8
    with open_at(source, write=False) as one, open_at(target, write=False) as two:
        assert two.verify().ok
        assert [row.run for row in two.runs()] == ["r3", "r2", "r1", "w1"]
        for run in ("r1", "r2", "r3"):
            ours, theirs = one.events(run), two.events(run)
            assert [(e.seq, e.at, e.event) for e in ours] == [
                (e.seq, e.at, e.event) for e in theirs
            ]
            assert two.act().events(run)
    assert copied(source, target) == Copied(runs=0, events=0, snapshots=0)


def test_what_came_since_is_added(places: Places) -> None:
    """And a run can go on at the other place: its epoch goes on too."""
    source, target = places
    copied(source, target)
    with open_at(source, write=True) as journal, journal.acquire("shop/dev", "r3") as lease:
        journal.append("r3", intended(2), lease)
    assert copied(source, target) == Copied(runs=0, events=1, snapshots=0)
    with open_at(target, write=True) as journal, journal.acquire("shop/dev", "r3") as lease:
        assert lease.epoch == 5
        journal.append("r3", intended(3), lease)
        assert journal.verify().ok
    before = content(target)
    with pytest.raises(JournalError, match="already, and is not the same there"):
        _diverge(source, target)
    assert content(target)[0][: len(before[0])] == before[0]


def _diverge(source: Path, target: Path) -> None:
    with open_at(source, write=True) as journal, journal.acquire("shop/dev", "r3") as lease:
        journal.append("r3", intended(4), lease)
    copied(source, target)


def test_runs_of_the_same_target_that_do_not_come_next_are_refused(places: Places) -> None:
    source, target = places
    with open_at(target, write=True) as journal, journal.acquire("shop/dev", "x1") as lease:
        journal.create_run("x1", created("shop"), lease)
    before = content(target)
    with pytest.raises(JournalError, match="run x1 of shop/dev, which does not come next"):
        copied(source, target)
    assert content(target) == before


@pytest.mark.parametrize("which", [0, 1])
def test_a_run_at_work_on_either_side_is_waited_for(places: Places, which: int) -> None:
    both = places
    copied(*both)
    with (
        open_at(both[which], write=True) as journal,
        journal.acquire("blog/dev", "r2"),
        pytest.raises(RunnerBusyError, match="blog/dev is at work: nothing was copied"),
    ):
        copied(*both)


def test_another_users_journal_is_not_copied(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    monkeypatch.setenv(KEY, new_key())
    with pytest.raises(UntrustedJournalError):
        copied(source, target)


def test_what_only_this_host_can_open_is_not_taken_to_a_server(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rekey` is the way out, and then it is opened with the key of all."""
    from alma.journal.address import address_of
    from alma.runner.rekey import rekey
    from alma.runner.settings import Settings

    source = tmp_path / "journal.db"
    with open_journal(source, write=True) as journal, journal.acquire("shop/dev", "r1") as lease:
        journal.keys.prepare()
        from msgspec.structs import replace

        sealed = journal.keys.seal({"secrets": []})
        journal.create_run("r1", replace(created(), sealed=sealed), lease)
    monkeypatch.setenv(KEY, new_key())
    with pytest.raises(AuthenticationError, match="key of this host alone") as refused:
        copy_journal(source, address_of(database))
    assert "rekey --journal" in refused.value.hint
    rekey(Settings(journal=source))
    assert copy_journal(source, address_of(database)).runs == 1
    (tmp_path / "journal.db.key").unlink()
    with open_journal(database, write=False) as journal:
        assert journal.keys.unseal(load_run(journal.act(), "r1").sealed) == {"secrets": []}


@pytest.mark.parametrize("view", ["history", "run_states", "operations", "steps", "leftovers"])
def test_the_views_of_both_stores_say_the_same(
    view: str, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's are held to what alma makes of the events; Postgres' to SQLite's."""
    monkeypatch.setenv(KEY, new_key())
    source = tmp_path / "journal.db"
    fill(source)
    copy_journal(source, PostgresUrl(database))
    query = f"SELECT * FROM {view} ORDER BY 1, 2, 3, 4"  # noqa: S608 - of the list above
    with sqlite_of(source) as file, connected(database) as server:
        theirs = server.execute(query.encode())
        ours = file.execute(query)
        assert [one.name for one in theirs.description or ()] == [
            one[0] for one in ours.description
        ]
        assert theirs.fetchall() == ours.fetchall()
