"""What was there before a run and was taken over by it: what the run says and keeps in mind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import Context, Retry, Saga, SagaState
from alma.core import events as ev
from alma.runner import resume, up
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import ended, history, program, settings

BROKEN = Fault(project="s-b", operation="up", after=0)


def saga_of(**options: Any) -> Saga:
    """A stack that takes one of two things over, and one that fails."""
    saga = Saga("s")
    saga.add_stack("a", program=program, **options)
    saga.add_stack("b", program=program)
    return saga


def one() -> list[str]:
    return ["s-a-one"]


async def test_the_rest_is_destroyed_and_it_is_named(journal: Path) -> None:
    """The state lets go of it, and that is seen, before the destroy."""
    engine = FakeEngine(faults=[BROKEN])
    asked: list[Any] = []

    async def existed(context: Context) -> list[str]:
        asked.append((dict(engine.world), context.step))
        return one()

    result = await ended(up(saga_of(existed=existed), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert [(left.step, left.id) for left in result.leftovers] == [("a", "s-a-one")]
    assert "was there before this run (existed= has seen it)" in result.leftovers[0].reason
    assert asked == [({}, "a")]
    assert {urn.rpartition("::")[2] for urn in engine.reality.things} == {"one"}
    assert engine.world == {}
    [destroy] = [
        entry.event
        for entry in history(journal)
        if isinstance(entry.event, ev.OperationIntended) and entry.event.kind == "destroy"
    ][-1:]
    assert [left.id for left in destroy.keeps] == ["s-a-one"]


@pytest.mark.parametrize("operation", ["destroy", "remove"])
async def test_a_crash_in_between_forgets_nothing(journal: Path, operation: str) -> None:
    """The journal has it, though the state says no more than that it was let go."""
    crash = Fault(project="s-a", operation=operation, effect="crash", after=0)
    engine = FakeEngine(faults=[BROKEN, crash])
    with pytest.raises(Crash):
        await up(saga_of(existed=one), settings=settings(engine, journal))
    result = await ended(resume(settings=settings(engine.restarted(), journal)))
    assert result.state is SagaState.FAILED
    [left] = result.leftovers
    assert left.id == "s-a-one"
    assert "was there before this run" in left.reason
    assert engine.world == {}


async def test_what_the_state_does_not_let_go_of_is_not_destroyed(journal: Path) -> None:
    """Nor is anything else of that stack: it may need it."""

    class Clinging(FakeEngine):
        async def let_go(self, *_: Any) -> None:
            """It says nothing, and does nothing."""

    engine = Clinging(faults=[BROKEN])
    result = await ended(up(saga_of(existed=one), settings=settings(engine, journal)))
    assert {left.id for left in result.leftovers} == {"s-a-one", "s-a-two"}
    assert ("destroy", "s-a") not in engine.calls


async def test_delete_hooks_need_a_program_that_would_delete_it(journal: Path) -> None:
    """Refused, with the way out: Pulumi goes by the program then."""

    class Hooked(FakeEngine):
        async def inspect(self, ref: Any) -> Any:
            return replace(await super().inspect(ref), delete_hooks=("goodbye",))

    engine = Hooked(faults=[BROKEN])
    result = await ended(up(saga_of(existed=one), settings=settings(engine, journal)))
    undo = result.status.steps["a"].undo_failure
    assert undo is not None
    assert "delete hooks" in undo.message
    assert "pulumi state delete" in undo.hint
    assert ("destroy", "s-a") not in engine.calls


@pytest.mark.parametrize("answer", [None, [], 7, [""], {"a": 1}, "raises"])
async def test_nothing_is_made_before_it_is_known_what_is_there(journal: Path, answer: Any) -> None:
    """An `existed` that cannot tell is a failure, and nothing was begun; it may be asked again."""
    asked: list[Any] = []

    def existed() -> Any:
        asked.append(answer)
        if answer == "raises":
            raise ConnectionError("no answer")
        return answer

    engine = FakeEngine(faults=[BROKEN])
    saga = saga_of(existed=existed, retry=Retry(attempts=2, delay=0))
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.error is not None
    if answer in (None, []):
        assert "fault injected" in result.error.message
        assert len(asked) == 1
    else:
        assert result.error.message.startswith("existed= cannot tell what is there: ")
        assert len(asked) == 2
        assert ("up", "s-a") not in engine.calls


async def test_what_no_run_of_the_journal_knows_cannot_be_told(journal: Path) -> None:
    """The same id in a stack that alma has never seen: as `pulumi destroy`, it is destroyed."""
    engine = FakeEngine(faults=[BROKEN])
    engine.existing("s-a", "prod", "one")
    result = await ended(up(saga_of(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED


async def test_another_stack_of_the_journal_holds_it(journal: Path) -> None:
    """Of another target, or of a step that the saga had once."""
    engine = FakeEngine()
    prod = Saga("s", stack="prod")
    prod.add_stack("a", program=program)
    await up(prod, settings=settings(engine, journal))
    engine.faults = [BROKEN]
    result = await ended(up(saga_of(), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.id for left in result.leftovers} == {"s-a-one", "s-a-two"}
    assert "(stack s-a/prod holds it)" in result.leftovers[0].reason
    assert len(engine.world["s-a", "prod"].resources) == 2
