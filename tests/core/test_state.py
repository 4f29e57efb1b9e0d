"""Which events may follow which, and what a fold keeps up."""

from __future__ import annotations

import pytest

from alma import Retry, Saga
from alma.core import events as ev
from alma.core.decide import (
    Finish,
    Reconcile,
    decide,
)
from alma.core.run import ReadySet, RunStatus, SagaState
from alma.core.state import fold
from alma.core.transitions import (
    COMPENSATED,
    PENDING,
    TRANSITIONS,
    IllegalTransitionError,
)
from tests.core.histories import History, chain


def test_nothing_follows_a_final_state() -> None:
    """COMPENSATED is never left; COMPLETED only by a part of another run, as that turns back."""
    assert not TRANSITIONS[COMPENSATED]
    history = History(chain("a"))
    history.succeed("a")
    history.add(ev.RunCompleted())
    for event in (
        ev.RunResumed(direction="back", actor="a@h"),
        ev.CompensationStarted(reason="it failed"),
    ):
        with pytest.raises(IllegalTransitionError, match="COMPLETED to COMPENSATING"):
            history.add(event)
    history.run.parent = ev.Parent(run="outer", step="part")
    history.add(ev.RunResumed(direction="back", actor="a@h"))
    assert history.run.state is SagaState.COMPENSATING


def test_an_event_that_does_not_fit_is_refused_by_name() -> None:
    """A journal that alma did not write so cannot be folded."""
    history = History(chain("a"))
    with pytest.raises(IllegalTransitionError, match="RUNNING to COMPENSATED"):
        history.add(ev.RunCompensated())


def test_fold_of_nothing_is_pending() -> None:
    """A run before its first event."""
    assert fold([]).state is PENDING


@pytest.mark.parametrize("at_work", ["begins", "settles"])
def test_a_host_of_many_that_is_at_work_is_there_whatever_was_said_of_it(at_work: str) -> None:
    """The other operations in doubt on it are settled there, and its locks are not broken."""
    history = History(chain("a", "b"))
    back = ev.Process(host="w-1#boot-1", pid=1, started=0.0)
    if at_work == "settles":
        history.start("a")
        history.add(ev.OperationLeftInDoubt(step="a", operation="a", reason="lost"))
    history.add(ev.HostDeclaredGone(host=back.host, actor="a@h", reason="it was said"))
    assert history.run.gone == {back.host}
    if at_work == "settles":
        event: ev.Event = ev.OperationReconciled(step="a", operation="a", found="nothing", by=back)
    else:
        history.add(ev.StepStarted(step="a"))
        event = ev.OperationIntended(step="a", operation="o", kind="action", by=back)
    assert not history.add(event).gone


def test_the_ready_set_is_kept_up_as_if_it_were_made_anew() -> None:
    """After every event, on the way there and back: else a decision would go by what was."""
    saga = Saga("s")
    for name, after in (("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"]), ("e", [])):
        saga.add_step(name, action=print, after=after, retry=Retry(attempts=2))
    history = History(saga)

    class Checked(History):
        def __init__(self) -> None:
            self.run, self.epoch = history.run, history.epoch

        def add(self, *events: ev.Event) -> RunStatus:
            for event in events:
                decide(self.run)
                super().add(event)
                kept = self.run.ready_set
                assert kept is None or vars(kept) == vars(ReadySet(self.run)), event
            return self.run

    run = Checked()
    run.succeed("a")
    run.start("b")
    run.add(ev.OperationLeftInDoubt(step="b", operation="b", reason="stopped"))
    assert decide(run.run) == (Reconcile("b"),)
    run.add(ev.OperationReconciled(step="b", operation="b", found="gone"))
    run.succeed("b")
    run.succeed("e")
    run.fail("c")
    run.fail("c", attempt=2)
    run.turn()
    for step in ("c", "b", "e", "a"):
        run.add(ev.OperationIntended(step=step, operation=step, kind="compensation"))
        run.add(ev.OperationSucceeded(step=step, operation=step, kind="compensation"))
        run.add(ev.StepCompensated(step=step, how="called"))
    assert decide(run.run) == (Finish(COMPENSATED),)
