"""Stacks that were there before a run: put back, or left as they are and named."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alma import Retry, Saga, SagaState
from alma.core import events as ev
from alma.core.codec import decode
from alma.core.result import Result
from alma.journal import open_journal
from alma.pulumi.engine import StackRef
from alma.pulumi.snapshot_files import SnapshotFiles
from alma.pulumi.snapshots import SnapshotError, Snapshots
from alma.runner import resume, rollback, up
from alma.runner.restore_points import prune
from alma.testing import Crash, FakeEngine, FakeProgram, Fault
from alma.testing.world import resource_of
from tests.runner.helpers import ended, history, program, settings


def two(**options: Any) -> Saga:
    saga = Saga("s")
    saga.add_stack("a", program=program, **options)
    saga.add_stack("b", program=program)
    return saga


def existing(*faults: Fault) -> FakeEngine:
    """Stack `a` holds `old` and `one`; its update drops the one and adds another; `b` fails."""
    fails = Fault(project="s-b", operation="up", after=0)
    engine = FakeEngine(programs={"s-a": FakeProgram()}, faults=[fails, *faults])
    engine.existing("s-a", "dev", "old", "one")
    return engine


def names(engine: FakeEngine) -> set[str]:
    """What stack `a` holds, by its state; the world must hold the same."""
    held = {one.urn for one in engine.world["s-a", "dev"].resources}
    assert {urn for urn in engine.reality.things if "::s-a::" in urn} == held
    return {urn.rpartition("::")[2] for urn in held}


async def failed(engine: FakeEngine, journal: Path, **options: Any) -> Result:
    return await ended(up(two(**options), settings=settings(engine, journal)))


@pytest.mark.parametrize("compensation", ["destroy", "restore"])
async def test_what_was_changed_is_put_back(journal: Path, compensation: str) -> None:
    engine = existing()
    result = await failed(engine, journal, compensation=compensation)
    assert result.state is SagaState.COMPENSATED
    assert names(engine) == {"old", "one"}
    assert ("restore", "s-a") in engine.calls


async def test_a_new_stack_is_destroyed_whatever_it_is_called(journal: Path) -> None:
    """compensation="restore" of what was not there before: nothing is what it was."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=0)])
    result = await failed(engine, journal, compensation="restore")
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}


async def test_retain_leaves_it_as_it_is(journal: Path) -> None:
    engine = existing()
    result = await failed(engine, journal, compensation="retain")
    assert result.state is SagaState.FAILED
    assert names(engine) == {"one", "two"}
    assert "compensation is retain" in result.leftovers[0].reason


async def test_a_callable_is_called_before_it_is_put_back(journal: Path) -> None:
    engine = existing()
    seen: list[set[str]] = []
    result = await failed(engine, journal, compensation=lambda: seen.append(names(engine)))
    assert result.state is SagaState.COMPENSATED
    assert seen == [{"one", "two"}]
    assert names(engine) == {"old", "one"}


async def test_a_failed_restore_names_what_is_not_as_before(journal: Path) -> None:
    engine = existing(Fault(project="s-a", operation="restore", after=0))
    result = await failed(engine, journal)
    assert result.state is SagaState.FAILED
    left = {item.urn.rpartition("::")[2] for item in result.leftovers if item.step == "a"}
    assert {"old", "two"} <= left


async def test_a_restore_that_lies_is_not_believed(journal: Path) -> None:
    engine = existing(Fault(project="s-a", operation="restore", effect="lie", after=0))
    assert (await failed(engine, journal)).state is SagaState.FAILED


async def test_a_failed_restore_is_tried_again(journal: Path) -> None:
    engine = existing(Fault(project="s-a", operation="restore", after=1))
    result = await failed(engine, journal, compensation_retry=Retry(attempts=2, delay=0))
    assert result.state is SagaState.COMPENSATED
    assert engine.counts["restore", "s-a"] == 2
    assert names(engine) == {"old", "one"}


@pytest.mark.parametrize("effect", ["crash", "drain"])
async def test_killed_half_way_resume_comes_to_the_same_end(journal: Path, effect: Any) -> None:
    engine = existing(Fault(project="s-a", operation="restore", effect=effect, after=1))
    with pytest.raises(Crash):
        await up(two(), settings=settings(engine, journal))
    result = await ended(resume(settings=settings(engine.restarted(), journal)))
    assert result.state is SagaState.COMPENSATED
    assert names(engine) == {"old", "one"}


async def test_a_stack_that_somebody_else_changed_is_left_alone(journal: Path) -> None:
    """Its state is not what this run left: nobody knows whose change is undone."""
    engine = existing()
    saga = Saga("s", on_failure="stop")
    saga.add_stack("a", program=program)
    saga.add_stack("b", program=program)
    await ended(up(saga, settings=settings(engine, journal)))
    theirs = resource_of(StackRef(project="s-a", stack="dev"), "theirs")
    engine.reality.create(("s-a", "dev"), theirs)
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert names(engine) == {"one", "two", "theirs"}
    assert "somebody else" in result.leftovers[0].reason


def _delete(path: Path) -> None:
    path.unlink()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _swap(path: Path) -> None:
    other = Snapshots(SnapshotFiles(path.parent)).keep("other", "dev", {"kept": "x"})
    (path.parent / f"{other}.json.gz").replace(path)


@pytest.mark.parametrize(
    ("harm", "why"), [(_delete, "is gone"), (_flip, "is damaged"), (_swap, "is damaged")]
)
async def test_without_its_snapshot_it_is_left_as_it_is(
    journal: Path, harm: Callable[[Path], None], why: str
) -> None:
    engine = existing()
    saga = Saga("s", on_failure="stop")
    saga.add_stack("a", program=program)
    saga.add_stack("b", program=program)
    await ended(up(saga, settings=settings(engine, journal)))
    (path,) = (journal.parent / "snapshots").iterdir()
    harm(path)
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert names(engine) == {"one", "two"}
    assert why in result.leftovers[0].reason


async def test_the_snapshot_is_on_the_disk_before_the_first_operation(journal: Path) -> None:
    engine = existing()
    await failed(engine, journal)
    events = [entry.event for entry in history(journal)]
    started = next(event for event in events if isinstance(event, ev.StepStarted))
    (path,) = (journal.parent / "snapshots").iterdir()
    assert path.name == f"{started.snapshot}.json.gz"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert events.index(started) < next(
        place for place, event in enumerate(events) if isinstance(event, ev.OperationIntended)
    )


async def test_a_snapshot_that_cannot_be_kept_stops_the_step(journal: Path) -> None:
    """Nothing is changed that could not be put back."""
    if os.geteuid() == 0:
        (journal.parent / "snapshots").write_text("in the way")
    else:
        (journal.parent / "snapshots").mkdir(mode=0o500)
    engine = existing()
    result = await failed(engine, journal)
    assert result.error is not None
    assert "snapshot" in result.error.message
    assert ("up", "s-a") not in engine.calls


def test_a_snapshot_of_another_stack_is_refused(tmp_path: Path) -> None:
    snapshots = Snapshots(SnapshotFiles(tmp_path))
    digest = snapshots.keep("s-a", "dev", {"x": 1})
    assert snapshots.load(digest, "s-a", "dev") == {"x": 1}
    with pytest.raises(SnapshotError, match="another stack"):
        snapshots.load(digest, "s-a", "prod")


def test_a_start_of_an_older_journal_has_no_snapshot() -> None:
    """It decodes, and its stack is retained."""
    event = decode("StepStarted", "a", '{"project": "s-a", "stack": "dev", "held": 2}')
    assert isinstance(event, ev.StepStarted)
    assert event.snapshot == ""


async def test_pruning_keeps_what_a_run_may_need(journal: Path) -> None:
    """Runs that are clean need theirs no more; a FAILED one can still be rolled back."""
    clean = existing()
    assert (await failed(clean, journal)).state is SagaState.COMPENSATED
    refused = existing(Fault(project="s-a", operation="restore", after=0))
    refused.existing("s-a", "dev", "more", "than", "before")
    assert (await failed(refused, journal)).state is SagaState.FAILED
    needed = {
        entry.event.snapshot
        for entry in history(journal)
        if isinstance(entry.event, ev.StepStarted) and entry.event.snapshot
    }
    kept = SnapshotFiles(journal.parent / "snapshots")
    assert len(kept.digests()) == 2
    with open_journal(journal, write=False) as reader:
        assert prune(reader, keep=0) == ()  # they were written just now
        for path in kept.directory.iterdir():
            os.utime(path, (0, 0))
        assert prune(reader) == ()
        (removed,) = prune(reader, keep=0)
    assert removed.endswith(".json.gz")
    assert kept.digests() == needed
