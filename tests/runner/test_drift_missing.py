"""Drift of what is down, gone, cut off or no more in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from alma import Saga
from alma.core import events as ev
from alma.errors import RunNotFoundError
from alma.journal import open_journal
from alma.pulumi.engine import Checkpoint, StackRef
from alma.runner import destroy, up
from alma.runner.drift import drift, drift_of_run
from alma.runner.step_drift import StepDrift
from alma.saga.arguments import selection_of
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import ended, program, settings, three
from tests.runner.test_drift import lose, verdicts


async def test_what_is_not_up_is_no_drift_and_no_answer_either(journal: Path) -> None:
    fake = FakeEngine()
    with pytest.raises(RunNotFoundError, match="There is no run of s/dev"):
        await drift(three(), settings=settings(fake, journal))
    await up(three(), settings=settings(fake, journal))
    await destroy(three(), settings=settings(fake, journal))
    found = await drift(three(), settings=settings(fake, journal))
    assert set(verdicts(found).values()) == {"absent"}
    assert found.exit_code == 0


async def test_a_step_that_the_file_has_no_more_is_still_looked_at(journal: Path) -> None:
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    lose(fake, "s-c::fake:index:Thing::two")
    less = Saga("s")
    a = less.add_stack("a", program=program)
    less.add_stack("b", program=program, inputs={"url": a.output("url")})
    found = await drift(less, settings=settings(fake, journal))
    assert verdicts(found) == {"a": "none", "b": "none", "c": "drifted"}


async def test_also_after_a_run_that_did_not_know_it(journal: Path) -> None:
    """Until somebody has taken it down; and one of two that are gone can be asked alone."""
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    less = Saga("s")
    less.add_stack("a", program=program)
    await up(less, settings=settings(fake, journal))
    lose(fake, "s-c::fake:index:Thing::two")
    wanted = {"a": "none", "b": "none", "c": "drifted"}
    assert verdicts(await drift(less, settings=settings(fake, journal))) == wanted
    assert verdicts(await drift_of_run("latest", settings(fake, journal))) == wanted
    alone = replace(settings(fake, journal), selection=selection_of(steps=["c"]))
    assert verdicts(await drift(less, settings=alone)) == {"c": "drifted"}
    only = replace(settings(fake, journal), selection=selection_of(steps=["b", "c"]))
    await destroy(three(), settings=only)
    wanted = {"a": "none", "b": "absent", "c": "absent"}
    assert verdicts(await drift(less, settings=settings(fake, journal))) == wanted
    await up(less, settings=settings(fake, journal))
    assert verdicts(await drift(less, settings=settings(fake, journal))) == {"a": "none"}


async def test_a_stack_that_is_gone_from_its_backend_is_missing(journal: Path) -> None:
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    del fake.world["s-b", "dev"]
    found = await drift(three(), settings=settings(fake, journal))
    assert [one.op for one in found.steps[1].drift.resources] == ["missing"]


@pytest.mark.parametrize("before", [True, False])
async def test_what_a_run_was_cut_off_before_is_as_it_was_before(
    journal: Path, *, before: bool
) -> None:
    """Nothing of it is begun: what is there is what the run has found, or nothing."""
    fake = FakeEngine()
    if before:
        await up(three(), settings=settings(fake, journal))
    fake = fake.restarted([Fault(project="s-a", operation="up", effect="crash")])
    with pytest.raises(Crash):
        await up(three(), settings=settings(fake, journal))
    fake = fake.restarted()
    found = await fake.inspect(StackRef(project="s-b", stack="dev"))
    started = ev.StepStarted(
        step="b", record_existed=before, held=found.held, fingerprint=found.fingerprint
    )
    with open_journal(journal, write=True) as kept:
        run = kept.resolve("latest")
        with kept.acquire("s/dev", run) as lease:
            kept.append(run, started, lease)

    async def looked() -> StepDrift:
        [one] = (await drift(three(), settings=settings(fake, journal, selection=alone))).steps
        return one

    alone = selection_of(steps="b")
    assert (await looked()).verdict == ("none" if before else "absent")
    if before:
        fake.reality.put(("s-b", "dev"), Checkpoint(exists=True))
        assert [one.op for one in (await looked()).drift.resources] == ["missing"]


async def test_what_a_failed_step_has_made_is_missed_as_well(journal: Path) -> None:
    """Nobody has looked at its state when it failed."""
    fake = FakeEngine().restarted([Fault(project="s-b", operation="up", after=1)])
    await ended(up(three(on_failure="stop"), settings=settings(fake, journal)))
    fake = fake.restarted()
    wanted = {"a": "none", "b": "none", "c": "absent"}
    assert verdicts(await drift(three(), settings=settings(fake, journal))) == wanted
    fake.reality.put(("s-b", "dev"), Checkpoint(exists=True))
    found = await drift(three(), settings=settings(fake, journal))
    assert [one.op for one in found.steps[1].drift.resources] == ["missing"]
