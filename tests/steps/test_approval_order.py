"""What comes before an approval, and what waits for it: no selection goes past it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, Saga, SagaInterrupted, SagaState
from alma.runner import up
from alma.runner.approve import answer
from alma.testing import FakeEngine, FakeProgram, Fault
from tests.runner.helpers import ended, program, settings
from tests.steps.test_approval import ME, asked, saga, world


async def test_people_are_asked_last_and_not_where_something_has_failed(journal: Path) -> None:
    """What need not wait has ended by then, so that the plan is whole, and stays the same."""
    for fails in (False, True):
        faults = [Fault(project="s-other", operation="up")] if fails else []
        engine = FakeEngine(world().programs, faults=faults)
        made = Saga("s", stack=f"f{fails}")
        made.add_approval("release", [ME], after=[])
        other = made.add_stack("other", program=program, after=[])
        given = {"url": other.output("url")}
        made.add_stack("third", program=program, inputs=given, after=["other"])
        made.add_stack("live", program=program, after=["release", "third"])
        engine.programs = {"s-other": FakeProgram(outputs={"url": "u"})}
        result = await ended(up(made, settings=settings(engine, journal)))
        assert result.state is (SagaState.COMPENSATED if fails else SagaState.RUNNING)
        assert [event.step for event in asked(journal)] == ([] if fails else ["release"])
        if not fails:
            done = {name for name, _ in engine.world}
            assert done == {"s-other", "s-third"}


async def test_two_approvals_are_asked_at_once_and_taken_one_by_one(journal: Path) -> None:
    engine = FakeEngine()
    for _ in range(3):
        made = Saga("s")
        for name in ("a", "b"):
            made.add_approval(f"may-{name}", [ME], after=[])
            made.add_stack(name, program=program, after=[f"may-{name}"])
        result = await ended(up(made, settings=settings(engine, journal)))
        waits = [step.name for step in result.status.waiting]
        if waits:
            answer(
                "latest",
                waits[0],
                approved=True,
                reason="x",
                settings=settings(engine, journal),
            )
    assert result.state is SagaState.COMPLETED


@pytest.mark.parametrize(
    "selected", [{"steps": ["live"], "exclusive": True}, {"from_steps": ["live"]}]
)
async def test_no_selection_goes_past_it(journal: Path, selected: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match='comes after the approval "release"'):
        await up(saga(), journal=journal, **selected)


def test_what_is_added_after_it_waits_for_it_whatever_it_consumes() -> None:
    """Else it would be done before anybody was asked."""
    saga = Saga("s")
    first = saga.add_step("first", lambda: {"url": "x"}, "none")
    saga.add_approval("release", [ME])
    saga.add_step("user", lambda: None, "none", inputs={"url": first.output("url")})
    saga.add_step("aside", lambda: None, "none", after=[])
    saga.add_step("next", lambda: None, "none")
    saga.add_approval("last", [ME], after=["user"])
    saga.add_step("end", lambda: None, "none", inputs={"url": first.output("url")})
    assert {one.name: one.dependencies for one in saga.definition().steps} == {
        "first": (),
        "release": ("first",),
        "user": ("first", "release"),
        "aside": (),
        "next": ("aside", "release"),
        "last": ("user",),
        "end": ("first", "last"),
    }


def test_what_it_waits_for_itself_does_not_wait_for_it() -> None:
    """A step may be named before it is added."""
    saga = Saga("s")
    first = saga.add_step("first", lambda: {"url": "x"}, "none")
    saga.add_approval("release", [ME], after=["tests"])
    saga.add_step("tests", lambda: None, "none", inputs={"url": first.output("url")})
    assert [one.dependencies for one in saga.definition().steps] == [(), ("tests",), ("first",)]


async def test_nothing_of_it_begins_before_somebody_has_agreed(journal: Path) -> None:
    done: list[str] = []
    saga = Saga("s")
    first = saga.add_step("first", lambda: {"url": "x"}, "none")
    saga.add_approval("release", [ME])
    saga.add_step("user", lambda: done.append("user"), "none", inputs={"url": first.output("url")})
    with pytest.raises(SagaInterrupted):
        await saga.execute(journal=journal)
    assert done == []
