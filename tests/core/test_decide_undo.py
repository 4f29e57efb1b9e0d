"""What is decided on the way back, and whether the way goes back at all."""

from __future__ import annotations

from alma import Retry, Saga
from alma.core import events as ev
from alma.core.decide import (
    Compensate,
    Finish,
    StartCompensation,
    decide,
)
from alma.core.transitions import COMPENSATED, COMPENSATING, COMPLETED, FAILED, PENDING
from tests.core.histories import History, chain, diamond, intended, names


def test_a_failure_waits_for_what_is_under_way_and_turns_back() -> None:
    """No step starts after a failure, and nothing is undone while another one still works."""
    history = History(diamond())
    history.succeed("base")
    history.start("right")
    history.fail("left")
    assert decide(history.run, frozenset({"right"})) == ()
    assert decide(history.succeed("right")) == (StartCompensation('step "left" failed', "left"),)


def test_the_failed_step_is_undone_as_well_and_first() -> None:
    """A failed `up` leaves part of its resources; its dependencies wait for it."""
    history = History(chain("a", "b", "c"))
    history.succeed("a")
    history.fail("b")
    history.turn()
    assert decide(history.run) == (Compensate("b", 1),)
    assert decide(history.undo("b")) == (Compensate("a", 1),)
    assert decide(history.undo("a")) == (Finish(COMPENSATED),)
    assert history.run.steps["c"].state is PENDING


def test_a_step_is_undone_only_after_all_that_depend_on_it() -> None:
    """Reverse topological order, independent branches side by side."""
    history = History(diamond())
    for name in ("base", "left", "right"):
        history.succeed(name)
    history.fail("top")
    history.turn()
    assert names(decide(history.run)) == ["top"]
    history.undo("top")
    assert sorted(names(decide(history.run))) == ["left", "right"]
    history.undo("right")
    assert names(decide(history.run, frozenset({"left"}))) == []
    assert names(decide(history.undo("left"))) == ["base"]


def test_a_failed_undo_holds_up_only_what_it_depends_on() -> None:
    """The other branch is undone all the same; the run ends FAILED."""
    history = History(diamond())
    for name in ("base", "left", "right"):
        history.succeed(name)
    history.fail("top")
    history.turn()
    history.undo("top")
    history.fail_undo("left")
    assert names(decide(history.run)) == ["right"]
    history.undo("right")
    assert decide(history.run) == (Finish(FAILED, "not undone: left, base"),)


def test_an_undo_has_retries_of_its_own() -> None:
    """compensation_retry counts undo attempts only."""
    saga = Saga("s")
    saga.add_stack("a", program=print, compensation_retry=Retry(attempts=2, delay=0))
    history = History(saga)
    history.fail("a")
    history.turn()
    history.fail_undo("a", 1)
    assert decide(history.run) == (Compensate("a", 2),)
    history.fail_undo("a", 2)
    assert decide(history.run)[0] == Finish(FAILED, "not undone: a")


def test_an_undo_in_doubt_is_repeated_without_counting() -> None:
    """A crash does not use up an attempt."""
    history = History(chain("a"))
    history.fail("a")
    history.turn()
    history.add(intended("a", "destroy", 1))
    history.epoch = 2
    history.attach()
    history.add(ev.OperationReconciled(step="a", operation="a", found="nothing"))
    assert decide(history.run) == (Compensate("a", 1),)


def test_policy_stop_leaves_all_as_it_is() -> None:
    """on_failure="stop" ends FAILED without undoing; rollback and resume are open."""
    history = History(chain("a", "b", on_failure="stop"))
    history.succeed("a")
    history.fail("b")
    (finish,) = decide(history.run)
    assert isinstance(finish, Finish)
    assert finish.state is FAILED
    history.add(ev.RunFailed(reason=finish.reason))
    history.add(ev.RunResumed(direction="back", actor="a"))
    assert history.run.state is COMPENSATING
    assert decide(history.run) == (Compensate("b", 1),)


def test_past_the_pivot_nothing_is_undone() -> None:
    """A completed pivot is the point of no return."""
    saga = Saga("s")
    saga.add_stack("a", program=print)
    saga.add_stack("b", program=print, pivot=True)
    saga.add_stack("c", program=print)
    history = History(saga)
    history.succeed("a")
    history.succeed("b")
    history.fail("c")
    (finish,) = decide(history.run)
    assert isinstance(finish, Finish)
    assert finish.state is FAILED


def test_a_failing_pivot_is_undone() -> None:
    """The point of no return is passed only when the pivot has completed."""
    saga = Saga("s")
    saga.add_stack("a", program=print)
    saga.add_stack("b", program=print, pivot=True)
    history = History(saga)
    history.succeed("a")
    history.fail("b")
    assert isinstance(decide(history.run)[0], StartCompensation)


def test_a_crash_between_failure_and_turning_back_changes_nothing() -> None:
    """Resumed in its direction, a run with a failed step still turns back."""
    history = History(chain("a"))
    history.fail("a")
    history.epoch = 2
    history.attach()
    history.add(ev.RunResumed(direction="forward", actor="a"))
    assert isinstance(decide(history.run)[0], StartCompensation)


def test_a_destroy_run_takes_everything_down_in_reverse() -> None:
    """It goes back from its first event, over all steps, and ends COMPLETED."""
    history = History(chain("a", "b"), kind="destroy")
    assert decide(history.run) == (Compensate("b", 1),)
    assert decide(history.undo("b")) == (Compensate("a", 1),)
    assert decide(history.undo("a")) == (Finish(COMPLETED),)


def test_a_destroy_run_that_cannot_go_on_fails() -> None:
    """What a stack depends on stays up."""
    history = History(chain("a", "b"), kind="destroy")
    history.fail_undo("b")
    assert decide(history.run) == (Finish(FAILED, "not undone: b, a"),)


def test_a_retained_step_is_not_undone_again() -> None:
    """It ends FAILED with its leftovers, and what it depends on stays."""
    history = History(chain("a", "b"))
    history.succeed("a")
    history.fail("b")
    history.turn()
    left = (ev.Leftover(step="b", reason="retained"),)
    history.add(ev.StepRetained(step="b", reason="retained", leftovers=left))
    assert decide(history.run) == (Finish(FAILED, "not undone: b, a"),)


def test_a_failed_run_can_be_rolled_back_again() -> None:
    """rollback gives every failed undo fresh attempts."""
    history = History(chain("a"))
    history.fail("a")
    history.turn()
    history.fail_undo("a")
    history.add(ev.RunFailed(reason="not undone: a"))
    assert decide(history.run) == ()
    history.add(ev.RunResumed(direction="back", actor="a"))
    assert decide(history.run) == (Compensate("a", 1),)
    assert decide(history.undo("a")) == (Finish(COMPENSATED),)
