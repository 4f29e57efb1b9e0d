"""What is decided on the way forward: order, retries, doubts, signals."""

from __future__ import annotations

import pytest

from alma import Retry, Saga
from alma.core import events as ev
from alma.core.decide import (
    Execute,
    Finish,
    Reconcile,
    StartCompensation,
    Suspend,
    decide,
)
from alma.core.transitions import COMPLETED, RUNNING
from tests.core.histories import History, chain, diamond, names


def test_a_plain_list_runs_in_order() -> None:
    """A step with neither after nor inputs waits for the one added before it."""
    history = History(chain("a", "b"))
    assert decide(history.run) == (Execute("a", 1),)
    history.start("a")
    assert decide(history.run, frozenset({"a"})) == ()
    assert decide(history.succeed("a")) == (Execute("b", 1),)


def test_independent_steps_start_together_up_to_parallelism() -> None:
    """Branches of a DAG run side by side, but never more than parallelism allows."""
    history = History(diamond())
    history.succeed("base")
    assert names(decide(history.run)) == ["left", "right"]
    assert names(decide(history.run, frozenset({"left"}))) == ["right"]
    narrow = History(diamond(parallelism=1))
    narrow.succeed("base")
    assert names(decide(narrow.run)) == ["left"]
    assert decide(narrow.run, frozenset({"left"})) == ()


def test_all_steps_done_completes_the_run() -> None:
    """COMPLETED means that every step succeeded."""
    history = History(chain("a"))
    assert decide(history.succeed("a")) == (Finish(COMPLETED),)


def test_a_failed_action_is_retried_with_growing_delays() -> None:
    """Retry(attempts, delay, factor): the wait before attempt n is delay * factor**(n-2)."""
    saga = Saga("s")
    saga.add_stack("a", program=print, retry=Retry(attempts=3, delay=2, factor=3, max_delay=5))
    history = History(saga)
    history.fail("a", 1)
    assert decide(history.run) == (Execute("a", 2, 2.0),)
    history.fail("a", 2)
    assert decide(history.run) == (Execute("a", 3, 5.0),)
    history.fail("a", 3)
    assert decide(history.run) == (StartCompensation('step "a" failed', "a"),)


@pytest.mark.parametrize("kind", ["cancelled", "passphrase"])
def test_what_another_attempt_cannot_mend_is_not_retried(kind: str) -> None:
    """We interrupted it ourselves, or a person must act."""
    saga = Saga("s")
    saga.add_stack("a", program=print, retry=Retry(attempts=3))
    history = History(saga)
    history.fail("a", 1, kind=kind)
    assert isinstance(decide(history.run)[0], StartCompensation)


def test_resume_of_a_stopped_run_tries_the_failed_step_again() -> None:
    """Forward again with fresh attempts, the completed steps untouched."""
    history = History(chain("a", "b", on_failure="stop"))
    history.succeed("a")
    history.fail("b")
    history.add(ev.RunFailed(reason="stopped"), ev.RunResumed(direction="forward", actor="a"))
    assert history.run.state is RUNNING
    assert decide(history.run) == (Execute("b", 1),)


def test_a_first_signal_starts_nothing_more_and_applies_the_policy() -> None:
    """What is under way ends; then everything is undone."""
    history = History(chain("a", "b"))
    history.succeed("a")
    history.start("b")
    history.add(ev.InterruptReceived(signal="SIGINT", count=1))
    assert decide(history.run, frozenset({"b"})) == ()
    history.fail("b", kind="cancelled")
    assert isinstance(decide(history.run)[0], StartCompensation)


def test_a_signal_past_the_pivot_suspends() -> None:
    """Neither undone nor failed: it can be resumed."""
    saga = Saga("s")
    saga.add_stack("a", program=print, pivot=True)
    saga.add_stack("b", program=print)
    history = History(saga)
    history.succeed("a")
    history.add(ev.InterruptReceived(signal="SIGINT", count=1))
    assert isinstance(decide(history.run)[0], Suspend)


def test_an_operation_of_an_earlier_runner_is_in_doubt_and_reconciled_first() -> None:
    """Intent without outcome, under an older epoch: looked at before anything else starts."""
    history = History(diamond())
    history.succeed("base")
    history.start("left")
    history.epoch = 2
    history.attach()
    assert decide(history.run) == (Reconcile("left"),)
    assert decide(history.run, frozenset({"left"})) == ()
    history.add(ev.OperationReconciled(step="left", operation="left", found="nothing"))
    assert decide(history.run) == (Execute("left", 1), Execute("right", 1))
