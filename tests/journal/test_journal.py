"""What a journal holds, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from alma.core.events import Failure, OperationFailed, OperationSucceeded
from alma.core.secret import Secret
from alma.errors import (
    JournalError,
    RunNotFoundError,
    StaleEpochError,
    UntrustedJournalError,
)
from alma.journal.store import Reader, Writer
from tests.journal.tools import (
    START,
    Clock,
    a_run,
    created,
    fill,
    intended,
    open_at,
    succeeded,
    tampered,
)

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


def test_runs_are_listed_newest_first(path: Path) -> None:
    """`runs` gives the newest first, up to the limit, or all of them."""
    fill(path)
    with open_at(path, write=False) as journal:
        assert [row.run for row in journal.runs()] == ["r3", "r2", "r1"]
        assert [row.run for row in journal.runs(limit=1)] == ["r3"]
        assert [row.run for row in journal.runs(limit=None)] == ["r3", "r2", "r1"]


def test_runs_of_one_target(path: Path) -> None:
    """`target` leaves out the runs of all others."""
    fill(path)
    with open_at(path, write=False) as journal:
        assert [row.run for row in journal.runs(target="shop/dev")] == ["r3", "r1"]
        assert journal.runs(target="shop/prod") == []


def test_a_run_by_its_id(path: Path) -> None:
    """`run` tells a run's target, kind and time."""
    fill(path)
    with open_at(path, write=False) as journal:
        row = journal.run("r2")
        assert (row.target, row.saga, row.stack, row.kind) == ("blog/dev", "blog", "dev", "up")
        with pytest.raises(RunNotFoundError, match="r9"):
            journal.run("r9")


def named(path: Path, *runs: str) -> None:
    with open_at(path, write=True) as journal:
        for run in runs:
            with journal.acquire("shop/dev", run) as lease:
                journal.create_run(run, created(), lease)


@pytest.mark.parametrize(
    ("reference", "run"),
    [("latest", "2026-b"), ("2026-a", "2026-a"), ("2026-ab", "2026-ab"), ("2026-b", "2026-b")],
)
def test_a_reference_finds_its_run(path: Path, reference: str, run: str) -> None:
    """`latest`, a whole id (even where it begins another one) and a unique prefix."""
    named(path, "2026-a", "2026-ab", "2025-x", "2026-b")
    with open_at(path, write=False) as journal:
        assert journal.resolve(reference) == run
        assert journal.resolve("2025") == "2025-x"


@pytest.mark.parametrize("reference", ["", "3", "2026-é", "%", "_", "2026-a\x00", "'"])
def test_a_reference_that_fits_nothing_names_the_newest(path: Path, reference: str) -> None:
    """No run: the error names the ids that there are."""
    named(path, "2026-a", "2026-b")
    with (
        open_at(path, write=False) as journal,
        pytest.raises(RunNotFoundError, match="2026-b, 2026-a"),
    ):
        journal.resolve(reference)


def test_an_ambiguous_reference_names_the_candidates(path: Path) -> None:
    """Several runs: the error names up to five of them."""
    named(path, *(f"2026-{number}" for number in range(7)))
    with (
        open_at(path, write=False) as journal,
        pytest.raises(RunNotFoundError, match=r"2026-0, 2026-1, 2026-2, 2026-3, 2026-4, \.\.\."),
    ):
        journal.resolve("2026")


def test_no_runs_yet(path: Path) -> None:
    """In an empty journal even `latest` is not found."""
    with (
        open_at(path, write=False) as journal,
        pytest.raises(RunNotFoundError, match="no runs"),
    ):
        journal.resolve("latest")


def test_a_run_is_created_once(path: Path) -> None:
    """A second run with the same id is refused, and nothing is added."""
    with a_run(path) as (journal, lease):
        with pytest.raises(JournalError, match="already"):
            journal.create_run("r1", created(), lease)
        assert len(journal.events("r1")) == 1


def test_a_run_must_be_created_first(path: Path) -> None:
    """An event of a run that does not exist is refused."""
    with (
        open_at(path, write=True) as journal,
        journal.acquire("shop/dev", "r1") as lease,
    ):
        with pytest.raises(RunNotFoundError, match="r1"):
            journal.append("r1", intended(), lease)
        assert journal.head().position == 0


def test_the_lease_must_be_that_of_the_run(path: Path) -> None:
    """Neither the lease of another run nor that of another target will do."""
    with (
        a_run(path) as (journal, _),
        journal.acquire("blog/dev", "r2") as blog,
        journal.acquire("wiki/dev", "r1") as wiki,
    ):
        with pytest.raises(StaleEpochError, match="not held for run r1"):
            journal.append("r1", intended(), blog)
        with pytest.raises(JournalError, match="Run r1 is of shop/dev"):
            journal.append("r1", intended(), wiki)
        with pytest.raises(JournalError, match="Run r2 is of shop/dev"):
            journal.create_run("r2", created("shop"), blog)
        assert journal.head().position == 1
        assert len(journal.runs()) == 1


def test_a_released_lease_may_not_append(path: Path) -> None:
    """Who gave the lease back is no runner any more."""
    with a_run(path) as (journal, lease):
        lease.release()
        with pytest.raises(StaleEpochError, match="not held"):
            journal.append("r1", intended(), lease)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), object(), b"bytes", {1, 2}, Secret("canary"), {("a",): 1}],
    ids=["nan", "inf", "object", "bytes", "set", "secret", "key"],
)
def test_what_json_cannot_hold_is_refused(path: Path, value: object) -> None:
    """A value that is no JSON is a typed error that shows no secret, and nothing is written."""
    event = replace(succeeded(), outputs={"nested": {"x": [value]}})
    with a_run(path) as (journal, lease):
        with pytest.raises(JournalError, match="OperationSucceeded cannot be written") as caught:
            journal.append("r1", event, lease)
        assert "canary" not in str(caught.value)
        assert journal.append("r1", intended(), lease).seq == 2


def test_a_large_event_does_not_break(path: Path) -> None:
    """Eight megabytes in one event are slow, not wrong."""
    event = replace(succeeded(), outputs={"blob": 'ü"\n' * 2_000_000})
    with a_run(path) as (journal, lease):
        journal.append("r1", event, lease)
        assert journal.events("r1")[-1].event == event
        assert journal.verify().ok


def test_half_a_surrogate_pair_is_kept(path: Path) -> None:
    """A message decoded from bytes that are no UTF-8 is recorded as it is."""
    failure = Failure(kind="program", message="broken \udcff pipe")
    event = OperationFailed(step="database", operation="o-1", kind="up", failure=failure)
    with a_run(path) as (journal, lease):
        journal.append("r1", event, lease)
        assert journal.events("r1")[-1].event == event
        assert journal.verify().ok


def test_a_failed_append_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a commit that failed, the next event takes the same place in run and chain."""
    with a_run(path) as (journal, lease):
        before = journal.head()
        write = journal._store.write

        def interrupted(what: str, work: Callable[[Writer], object]) -> object:
            def half(writer: Writer) -> None:
                work(writer)
                raise KeyboardInterrupt

            return write(what, half)

        with monkeypatch.context() as patch:
            patch.setattr(journal._store, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append("r1", intended(), lease)
        assert journal.head() == before
        assert journal.append("r1", intended(), lease).seq == 2
        assert journal.verify().ok


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


def test_evidence_of_any_json_comes_back(path: Path) -> None:
    """Tuples become lists, as JSON has it; nothing else changes."""
    event = OperationSucceeded(
        step="database", operation="o-1", kind="destroy", evidence={"list": (1, "a", None, 1e300)}
    )
    with a_run(path) as (journal, lease):
        journal.append("r1", event, lease)
        read = journal.events("r1")[-1].event
        assert read == replace(event, evidence={"list": [1, "a", None, 1e300]})
