from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from alma import Context, Saga, SagaFailed, Secret
from alma.core.run import SagaState
from alma.core.selection import Selection
from alma.runner import destroy, up
from alma.testing import FakeEngine, FakeProgram
from tests.runner.helpers import program, settings


async def test_a_destroy_gives_compensations_what_the_run_before_gave_the_actions(
    tmp_path: Path,
) -> None:
    """A destroy run has no outputs of its own; those of the newest up are its inputs."""
    journal, seen = tmp_path / "journal.db", []

    def saga() -> Saga:
        def delete(context: Context) -> None:
            seen.append((context.inputs["url"], context.result))

        saga = Saga("s")
        first = saga.add_step("first", action=lambda: {"url": "http://a"}, compensation=print)
        saga.add_stack("a", program=program)
        saga.add_step(
            "record",
            action=lambda: {"id": 7},
            compensation=delete,
            inputs={"url": first.output("url")},
        )
        return saga

    engine = FakeEngine()
    await up(saga(), settings=settings(engine, journal))
    for _ in range(2):  # the second finds nothing to destroy, and calls it again
        result = await destroy(saga(), settings=settings(engine, journal))
        assert result.state is SagaState.COMPLETED
    assert seen == [("http://a", {"id": 7})] * 2


async def test_what_no_run_has_left_is_said_and_the_way_past_it(tmp_path: Path) -> None:
    """The action may have been done by a run of another journal: it is not taken for undone."""
    journal, engine = tmp_path / "journal.db", FakeEngine()
    saga = Saga("s")
    made = saga.add_stack("a", program=program)
    inputs = {"url": made.output("url")}
    saga.add_step("record", action=print, compensation=print, inputs=inputs)
    with pytest.raises(SagaFailed) as failed:
        await destroy(saga, settings=settings(engine, journal))
    [left] = failed.value.result.leftovers
    assert left.step == "record"
    assert 'it needs the output "url" of step "a", which no run of this journal' in left.reason
    others = replace(settings(engine, journal), selection=Selection(steps=("a",), exclusive=True))
    assert (await destroy(saga, settings=others)).state is SagaState.COMPLETED


async def test_what_no_run_has_left_is_read_from_the_state_that_is_there(tmp_path: Path) -> None:
    """The journal of who has made it is lost: its stack stands until what consumes it is undone."""
    seen: list[object] = []

    def saga() -> Saga:
        def delete(context: Context) -> None:
            seen.append((context.inputs["url"], context.inputs["token"].value, context.result))

        saga = Saga("s")
        made = saga.add_stack("a", program=program)
        inputs = {"url": made.output("url"), "token": made.output("token")}
        saga.add_step("record", action=lambda: {"id": 7}, compensation=delete, inputs=inputs)
        return saga

    outputs = {"url": "http://a", "token": Secret("hunter22")}
    engine = FakeEngine({"s-a": FakeProgram(outputs=outputs)})
    await up(saga(), settings=settings(engine, tmp_path / "lost.db"))
    journal = tmp_path / "journal.db"
    result = await destroy(saga(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert seen == [("http://a", "hunter22", {})]  # what the action itself gave is lost
    assert engine.reality.things == set()
    assert b"hunter22" not in journal.read_bytes()
