"""Ways out of a stuck undo: a step is skipped, a run is abandoned."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import SagaState, Secret
from alma.core.definition import StepDefinition
from alma.core.run import OpenOperation, StepStatus
from alma.errors import DefinitionError
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.runner import rollback, up
from alma.runner.intervene import abandon, skip
from alma.runner.logs import clean_cut_off
from alma.system.files import PRIVATE
from alma.system.processes import this_process
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import (
    CRASHES,
    ended,
    settings,
    three,
    types,
)


def logged(journal: Path, run: str, operation: str) -> Path:
    """What the program of an operation has said, and was given."""
    logs = journal.parent / "logs" / run / operation
    (logs / PRIVATE).mkdir(parents=True)
    (logs / "pulumi.log").write_text("said: of-secret")
    return logs


def stuck() -> FakeEngine:
    """c fails going up, and b cannot be destroyed, however often it is tried."""
    faults = [Fault(project="s-c", operation="up", after=1)]
    faults += [Fault(project="s-b", operation="destroy", nth=n, after=1) for n in range(1, 9)]
    return FakeEngine(faults=faults)


async def test_a_skipped_step_lets_the_undo_go_on_and_is_never_clean(journal: Path) -> None:
    """What it depended on is undone; it stays a leftover, with the operator's reason."""
    engine = stuck()
    await ended(up(three(), settings=settings(engine, journal)))
    await skip("latest", "b", reason="deleted by hand", settings=settings(engine, journal))
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert [left.step for left in result.leftovers] == ["b"]
    assert "deleted by hand" in result.leftovers[0].reason
    assert set(engine.world) == {("s-b", "dev")}
    assert "StepSkipped" in types(journal)


async def test_only_a_step_that_waits_to_be_undone_can_be_skipped(journal: Path) -> None:
    """An unknown, an undone or a never started step is refused, and nothing is journaled."""
    engine = stuck()
    await ended(up(three(), settings=settings(engine, journal)))
    before = types(journal)
    for step in ("nope", "c"):
        with pytest.raises(DefinitionError):
            await skip("latest", step, reason="x", settings=settings(engine, journal))
    with pytest.raises(DefinitionError, match="reason"):
        await skip("latest", "b", reason=" ", settings=settings(engine, journal))
    assert types(journal) == before


async def test_an_abandoned_run_is_failed_and_frees_its_target(journal: Path) -> None:
    """An interrupted run that nobody wants to go on with, with all that is left of it named."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await abandon("latest", reason="moved elsewhere", settings=settings(engine, journal))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a", "b"}
    assert all("moved elsewhere" in left.reason for left in result.leftovers)
    assert (await up(three(), settings=settings(engine, journal))).state is SagaState.COMPLETED


@pytest.mark.parametrize("way", ["skip", "abandon"])
async def test_who_gives_up_cleans_what_a_killed_run_has_logged(journal: Path, way: str) -> None:
    """Nobody else will."""
    operation = "destroy" if way == "skip" else "up"
    faults = [
        Fault(project="s-c", operation="up", after=1),
        Fault(project="s-b", operation=operation, effect="crash", after=1),
    ]
    engine, saga = FakeEngine(faults=faults), three()
    word = {"word": Secret("of-secret")}
    saga.add_step("word", action=lambda: None, compensation="none", inputs=word, after=[])
    with pytest.raises(Crash):
        await up(saga, settings=settings(engine, journal))
    with open_journal(journal, write=False) as reader:
        run = load_run(reader, reader.resolve("latest"))
    cut_off = run.steps["b"].open
    assert cut_off is not None
    logs = logged(journal, run.run, cut_off.id)
    if way == "skip":
        await skip("latest", "b", reason="gone", settings=settings(engine, journal))
    else:
        await abandon("latest", reason="gone", settings=settings(engine, journal))
    assert (logs / "pulumi.log").read_text() == "said: [secret]"
    assert not (logs / PRIVATE).exists()


def test_what_a_program_was_given_stays_while_it_may_be_at_work(journal: Path) -> None:
    logs = logged(journal, "run", "operation")
    at_work = OpenOperation(
        id="operation", kind="up", attempt=1, epoch=1, processes=(this_process(),)
    )
    step = StepStatus(definition=StepDefinition(name="a", kind="action"), open=at_work)
    clean_cut_off(logs.parent, [step], lambda text: text.replace("of-secret", "[secret]"))
    assert (logs / "pulumi.log").read_text() == "said: [secret]"
    assert (logs / PRIVATE).exists()


async def test_a_run_that_left_nothing_cannot_be_abandoned(journal: Path) -> None:
    """COMPLETED and COMPENSATED are never overwritten."""
    engine = FakeEngine()
    await up(three(), settings=settings(engine, journal))
    with pytest.raises(DefinitionError, match="COMPLETED"):
        await abandon("latest", reason="x", settings=settings(engine, journal))
