"""An operation that never began has nothing to undo: what came before it is, and that is 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import Retry, Saga, SagaState
from alma.core import events as ev
from alma.core.operation import Operation
from alma.core.state import fold
from alma.errors import BackendError, RunNotFoundError, ToolError
from alma.pulumi.engine import OperationResult, UpRequest
from alma.runner import up
from alma.steps.base import Outcome, Session, StepContext, StepHandler
from alma.steps.step import Step
from alma.testing import FakeEngine
from alma.testing.faults import LOCKED
from tests.core.histories import History, chain, intended
from tests.runner.helpers import ended, history, program, settings


async def test_a_step_that_lacks_its_input_is_not_undone(journal: Path) -> None:
    """Neither its action nor its compensation is called; what came before it is undone."""
    called: list[str] = []
    saga = Saga("s")
    first = saga.add_step(
        "first",
        action=lambda: {"id": 1},
        compensation=lambda: called.append("first undone"),
    )
    saga.add_step(
        "second",
        action=lambda: called.append("second"),
        compensation=lambda: called.append("second undone"),
        inputs={"url": first.output("url")},
        retry=Retry(attempts=2, delay=0),
    )
    result = await ended(up(saga, settings=settings(FakeEngine(), journal)))
    assert called == ["first undone"]
    assert (result.state, result.exit_code) == (SagaState.COMPENSATED, 4)
    assert result.status.steps["second"].how == "nothing"
    failed = [one.event for one in history(journal) if isinstance(one.event, ev.OperationFailed)]
    assert [one.began for one in failed] == [False, False]


def test_what_began_once_is_undone_whatever_came_after() -> None:
    """A second attempt that cannot even start says nothing of the first."""
    lacking = ev.Failure(kind="program", message="no input")
    past = History(chain("a"))
    past.add(ev.StepStarted(step="a"), intended("a", "up", 1))
    assert past.run.steps["a"].began, "a crash here leaves it in doubt"
    refused = ev.OperationFailed(step="a", operation="a", kind="up", failure=lacking, began=False)
    assert not past.add(refused).steps["a"].began
    past.add(intended("a", "up", 2))
    past.add(ev.OperationFailed(step="a", operation="a", kind="up", failure=lacking))
    assert past.run.steps["a"].began
    assert past.add(intended("a", "up", 3), refused).steps["a"].began


class _Together(FakeEngine):
    """Another journal's runner has begun with the same stack in the same moment, and is faster."""

    async def up(self, request: UpRequest, operation: Operation) -> OperationResult:  # noqa: ARG002
        """Refused by the other's lock, under which the other makes the stack."""
        self.existing(request.ref.project, request.ref.stack, "theirs")
        return OperationResult(failure=LOCKED, began=False)


async def test_what_anothers_lock_refused_is_not_undone_to_the_other(journal: Path) -> None:
    """There was no stack when the step started, and what is there now is not this run's."""
    saga, engine = Saga("s"), _Together()
    saga.add_stack("a", program=program)
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["a"].how == "nothing"
    (theirs,) = engine.world.values()
    assert len(theirs.resources) == 1
    assert "destroy" not in [name for name, *_ in engine.calls]


class _Handler(StepHandler):
    """Says that its tool is missing, or finds that out when it begins."""

    digest, lacks = "", ""

    def __init__(self, name: str, words: dict[str, str]) -> None:
        self.name, self.inputs, self.words = name, {}, words

    async def require(self) -> None:
        if words := self.words.get("before"):
            raise ToolError(words)

    async def execute(self, call: StepContext) -> None:
        if words := self.words.get("looking"):
            raise BackendError(words)

        async def work(_operation: Operation) -> Outcome:
            return Outcome(failure=ev.Failure(kind="action", message="half done"))

        await call.perform("action", work)

    async def compensate(self, call: StepContext) -> None:
        async def work(_operation: Operation) -> Outcome:
            return Outcome(failure=ev.Failure(kind="action", message="its undo cannot be, either"))

        await call.perform("compensation", work)


class Tool(Step):
    """A kind of a package of its own."""

    words: dict[str, str] = {}  # noqa: RUF012 - set by each test

    def bind(self, session: Session) -> _Handler:  # noqa: ARG002 - one signature for all
        return _Handler(self.name, type(self).words)


def _saga() -> tuple[Saga, list[str]]:
    called: list[str] = []
    saga = Saga("s")
    saga.add_step(
        "first", action=lambda: called.append("do"), compensation=lambda: called.append("undo")
    )
    saga.add(Tool(name="tool"))
    return saga, called


async def test_what_a_handler_knows_beforehand_is_refused_before_anything(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step is begun, and there is no run."""
    monkeypatch.setattr(Tool, "words", {"before": "The tool is missing."})
    saga, called = _saga()
    with pytest.raises(ToolError, match="The tool is missing"):
        await up(saga, settings=settings(FakeEngine(), journal))
    assert called == []
    with pytest.raises(RunNotFoundError):
        history(journal)


@pytest.mark.parametrize(("words", "code"), [({"looking": "no state"}, 4), ({}, 10)])
async def test_a_handler_that_raises_before_its_work_has_nothing_to_undo(
    journal: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, str], code: int
) -> None:
    """What it does to the world it does in `perform`; what failed there has to be undone."""
    monkeypatch.setattr(Tool, "words", words)
    saga, called = _saga()
    result = await ended(up(saga, settings=settings(FakeEngine(), journal)))
    assert result.exit_code == code
    assert called == (["do", "undo"] if code == 4 else ["do"])
    assert fold(history(journal)).steps["tool"].how == ("nothing" if code == 4 else "")
