"""Steps that are callables: retries, results, compensations, secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from alma import Context, Retry, Saga, SagaFailed, SagaState, Secret
from alma.runner import resume, up
from tests.runner.helpers import (
    ended,
)


async def test_actions_as_in_the_adr(journal: Path) -> None:
    """Names from the functions, no argument or one, plain or async; undone in reverse."""
    seen: list[str] = []

    async def one() -> dict[str, int]:
        seen.append("one")
        return {"id": 1}

    def two(context: Context) -> None:
        seen.append(f"two after {context.outputs['one']['id']}")
        raise ValueError("no")

    def undo(context: Context) -> None:
        seen.append(f"undo {context.step} {context.result.get('id')}")

    saga = Saga(name="adr")
    saga.add_step(action=one, compensation=undo)
    saga.add_step(action=two, compensation=undo)
    with pytest.raises(SagaFailed) as caught:
        await saga.execute(journal=journal)
    assert seen == ["one", "two after 1", "undo two None", "undo one 1"]
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.result.state is SagaState.COMPENSATED


async def test_the_key_stays_the_same_over_retries_and_resumes(journal: Path) -> None:
    """And an action that is repeated after a crash is told that it is in doubt."""
    calls: list[tuple[str, int, bool]] = []
    reached = asyncio.Event()

    async def act(context: Context) -> None:
        calls.append((context.key, context.attempt, context.in_doubt))
        if len(calls) == 1:
            raise OSError("try again")
        if len(calls) == 2:
            reached.set()
            await asyncio.Event().wait()

    saga = Saga("s")
    saga.add_step("x", action=act, retry=Retry(attempts=2, delay=0), compensation=print)
    run = asyncio.create_task(up(saga, journal=journal))
    await reached.wait()
    run.cancel()  # the runner dies in the middle of the second attempt
    with pytest.raises(asyncio.CancelledError):
        await run
    result = await resume(saga=saga, journal=journal)
    assert result.state is SagaState.COMPLETED
    assert len({key for key, _, _ in calls}) == 1
    assert [(attempt, doubt) for _, attempt, doubt in calls] == [(1, False), (2, False), (2, True)]


async def test_a_step_without_compensation_is_a_leftover(journal: Path) -> None:
    """alma cannot know what the action made, so it is named."""
    saga = Saga("s")
    saga.add_step("first", action=lambda: None)
    saga.add_step("second", action=lambda: 1 / 0, compensation=lambda: None)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.FAILED
    assert [(left.step, left.reason) for left in result.leftovers] == [
        ("first", "the step has no compensation")
    ]


async def test_a_failing_compensation_is_a_leftover(journal: Path) -> None:
    """With the words of what it raised."""

    def bad() -> None:
        raise OSError("still in use")

    saga = Saga("s")
    saga.add_step("x", action=lambda: 1 / 0, compensation=bad)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.FAILED
    assert "still in use" in result.leftovers[0].reason


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, b"x"])
async def test_a_result_that_is_no_json_fails_the_step(journal: Path, value: object) -> None:
    """The action took effect, so it is compensated."""
    undone: list[str] = []
    saga = Saga("s")
    saga.add_step("x", action=lambda: value, compensation=lambda: undone.append("x"))
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED
    assert undone == ["x"]
    assert "cannot" in (result.error.message if result.error else "")


async def test_an_action_past_its_deadline_fails(journal: Path) -> None:
    """An async one is cancelled."""
    saga = Saga("s")

    async def slow() -> None:
        await asyncio.Event().wait()

    saga.add_step("x", action=slow, compensation=lambda: None, timeout=0.05)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED
    assert result.error is not None
    assert result.error.kind == "timeout"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), BaseException("x")])
async def test_an_action_that_tries_to_end_the_process_only_fails(
    journal: Path, error: BaseException
) -> None:
    """sys.exit inside an action is that action's failure."""

    def act() -> None:
        raise error

    saga = Saga("s")
    saga.add_step("x", action=act, compensation=lambda: None)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED


async def test_no_secret_reaches_the_journal(journal: Path) -> None:
    """Not as an output, an input, nor inside an error; nested ones included."""
    canary = "canary-7f3a9b"
    saga = Saga("s")
    got: list[Any] = []

    def make() -> dict[str, Any]:
        return {"password": Secret(canary), "nested": {"list": [Secret(canary)]}}

    def use(context: Context) -> None:
        got.append(context.inputs["password"].value)
        raise ValueError(f"cannot log in with {canary}")

    first = saga.add_step("make", action=make, compensation=lambda: None)
    saga.add_step(
        "use", action=use, compensation=lambda: None, inputs={"password": first.output("password")}
    )
    result = await ended(up(saga, journal=journal))
    assert got == [canary]
    assert result.state is SagaState.COMPENSATED
    for path in journal.parent.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


async def test_a_step_without_compensation_holds_up_nothing(journal: Path) -> None:
    """It is named; what was up before it is undone all the same."""
    undone: list[str] = []
    saga = Saga("s")
    saga.add_step("first", action=lambda: None, compensation=lambda: undone.append("first"))
    saga.add_step("check", action=lambda: 1 / 0)
    result = await ended(up(saga, journal=journal))
    assert undone == ["first"]
    assert result.state is SagaState.FAILED
    assert [left.step for left in result.leftovers] == ["check"]


async def test_a_step_that_has_nothing_to_undo_can_say_so(journal: Path) -> None:
    """compensation="none" is its author's word; also when only the journal is at hand."""
    saga = Saga("s")
    saga.add_step("check", action=lambda: 1 / 0, compensation="none")
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["check"].how == "nothing"
