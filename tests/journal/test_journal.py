"""What a journal holds, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from alma.errors import JournalError, UntrustedJournalError
from alma.journal.store import Reader
from tests.journal.tools import START, Clock, a_run, created, intended, open_at, succeeded, tampered

T = TypeVar("T")


def test_events_come_back_as_they_were_appended(path: Path) -> None:
    """What `append` returned is what `events` reads, in the same order."""
    with a_run(path) as (journal, lease):
        appended = [journal.append("r1", event, lease) for event in (intended(), succeeded())]
        assert journal.events("r1")[1:] == appended
        assert [entry.seq for entry in journal.events("r1")] == [1, 2, 3]


def test_events_after_a_seq(path: Path) -> None:
    """`after` leaves out the events up to that seq."""
    with a_run(path) as (journal, lease):
        last = [journal.append("r1", intended(number), lease) for number in range(1, 4)][-1]
        assert journal.events("r1", after=3) == [last]


def test_who_follows_a_run_reads_what_is_new_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long run is not read again with each event; it is held to its seal all the same."""
    with a_run(path) as (journal, lease), open_at(path, write=False).act() as follower:
        last = follower.events("r1")[-1].seq
        asked: list[int] = []
        read = follower._store.read

        def counted(what: str, work: Callable[[Reader], T]) -> T:
            def noted(reader: Reader) -> T:
                events = reader.events
                monkeypatch.setattr(
                    reader, "events", lambda run, after=0: asked.append(after) or events(run, after)
                )
                return work(reader)

            return read(what, noted)

        monkeypatch.setattr(follower._store, "read", counted)
        for number in (1, 2):
            new = journal.append("r1", intended(number), lease)
            assert follower.events("r1", after=last) == [new]
            last = new.seq
        assert asked == [1, 2]
        forged = "position + 1, run, seq + 1, at, epoch, type, step, data, hash, 'of nobody'"
        tampered(path, f"INSERT INTO events SELECT {forged} FROM events WHERE seq = 3")  # noqa: S608
        with pytest.raises(UntrustedJournalError):
            follower.events("r1", after=last)


def test_an_unknown_run_has_no_events(path: Path) -> None:
    """Asking for the events of no run is no error."""
    with a_run(path) as (journal, _):
        assert journal.events("nope") == []


def test_an_event_survives_the_process(path: Path) -> None:
    """What was appended is there when the file is opened again."""
    with a_run(path) as (journal, lease):
        appended = journal.append("r1", intended(), lease)
    with open_at(path, write=False) as journal:
        assert journal.events("r1")[-1] == appended


def test_order_does_not_depend_on_the_clock(path: Path) -> None:
    """A clock that steps back a day changes the times and nothing else."""
    clock = Clock()
    with (
        open_at(path, write=True, clock=clock) as journal,
        journal.acquire("shop/dev", "r2") as lease,
        journal.acquire("blog/dev", "r1") as other,
    ):
        journal.create_run("r2", created(), lease)
        clock.now = START - timedelta(days=1)
        journal.append("r2", intended(), lease)
        journal.create_run("r1", created("blog"), other)
        assert [entry.event.type for entry in journal.events("r2")] == [
            "RunCreated",
            "OperationIntended",
        ]
        assert [row.run for row in journal.runs()] == ["r1", "r2"]
        assert journal.resolve("latest") == "r1"
        assert journal.verify().ok


def test_times_are_aware_and_exact(path: Path) -> None:
    """A time comes back in UTC to the microsecond, whatever zone the clock has."""
    zone = datetime(2026, 3, 1, 1, 2, 3, 4, tzinfo=UTC).astimezone()
    with (
        open_at(path, write=True, clock=lambda: zone) as journal,
        journal.acquire("shop/dev", "r1") as lease,
    ):
        journal.create_run("r1", created(), lease)
        (entry,) = journal.events("r1")
        assert entry.at == zone
        assert entry.at.utcoffset() == timedelta(0)


def test_a_naive_clock_is_refused(path: Path) -> None:
    """A clock without a zone is a bug of the caller, and writes nothing."""
    naive = START.replace(tzinfo=None)
    with open_at(path, write=True, clock=lambda: naive) as journal:
        with pytest.raises(ValueError, match="aware"):
            journal.acquire("shop/dev", "r1")
        assert journal.latest_epoch("shop/dev") == 0
        assert not journal.is_held("shop/dev")


def test_a_reader_cannot_append(path: Path) -> None:
    """A journal that was opened for reading refuses to write."""
    with a_run(path) as (_, lease), open_at(path, write=False) as reader:
        with pytest.raises(JournalError, match="reading only"):
            reader.append("r1", intended(), lease)
        with pytest.raises(JournalError, match="reading only"):
            reader.acquire("blog/dev", "r2")
        assert not reader.is_held("blog/dev")


def test_a_reader_sees_what_a_writer_adds(path: Path) -> None:
    """A reader that was opened before the first run follows the journal."""
    with open_at(path, write=False) as reader:
        assert reader.runs() == []
        with a_run(path) as (journal, lease):
            assert [row.run for row in reader.runs()] == ["r1"]
            journal.append("r1", intended(), lease)
            assert len(reader.events("r1")) == 2
        assert len(reader.events("r1")) == 2


def test_closing_twice_does_nothing(path: Path) -> None:
    """`close` can be repeated, and what comes after it is a typed error."""
    journal = open_at(path, write=True)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.runs()
