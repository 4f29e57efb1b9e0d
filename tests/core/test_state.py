"""The rule book: fold and decide, without any I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alma import Retry, Saga
from alma.core import events as ev
from alma.core.agenda import ReadySet
from alma.core.decide import (
    Compensate,
    Execute,
    Finish,
    Reconcile,
    StartCompensation,
    Suspend,
    decide,
)
from alma.core.run import RunStatus, SagaState
from alma.core.state import (
    COMPENSATED,
    COMPENSATING,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    TRANSITIONS,
    IllegalTransitionError,
    apply,
    fold,
)

T0 = datetime(2026, 1, 31, tzinfo=UTC)


class History:
    """Events as the journal would hold them, numbered and stamped."""

    def __init__(self, saga: Saga, kind: ev.RunKind = "up") -> None:
        self.run = RunStatus()
        self.epoch = 1
        definition = saga.definition()
        self.add(
            ev.RunCreated(
                saga=saga.name,
                stack=saga.stack,
                kind=kind,
                definition=definition.to_json(),
                digest=definition.digest,
            )
        )
        self.attach()

    def add(self, *events: ev.Event) -> RunStatus:
        for event in events:
            seq = self.run.seq + 1
            at = T0 + timedelta(seconds=seq)
            apply(self.run, ev.Recorded(run="r", seq=seq, at=at, epoch=self.epoch, event=event))
        return self.run

    def attach(self) -> RunStatus:
        process = ev.Process(host="h", pid=1, started=0.0)
        return self.add(ev.RunnerAttached(process=process, actor="a@h"))

    def start(self, step: str, attempt: int = 1) -> RunStatus:
        if self.run.steps[step].started is None:
            self.add(ev.StepStarted(step=step))
        kind = "up" if self.run.steps[step].definition.kind == "stack" else "action"
        return self.add(intended(step, kind, attempt))

    def succeed(self, step: str) -> RunStatus:
        self.start(step)
        return self.add(ev.OperationSucceeded(step=step, operation=step, kind="up"))

    def fail(self, step: str, attempt: int = 1, kind: str = "provider") -> RunStatus:
        self.start(step, attempt)
        failure = ev.Failure(kind=kind, message="boom")
        return self.add(ev.OperationFailed(step=step, operation=step, kind="up", failure=failure))

    def turn(self) -> RunStatus:
        return self.add(ev.CompensationStarted(reason="it failed"))

    def undo(self, step: str) -> RunStatus:
        return self.add(
            intended(step, "destroy", 1),
            ev.OperationSucceeded(step=step, operation=step, kind="destroy"),
            ev.StepCompensated(step=step, how="destroyed"),
        )

    def fail_undo(self, step: str, attempt: int = 1) -> RunStatus:
        failure = ev.Failure(kind="provider", message="still there")
        left = (ev.Leftover(step=step, reason="still there"),)
        return self.add(
            intended(step, "destroy", attempt),
            ev.OperationFailed(
                step=step, operation=step, kind="destroy", failure=failure, leftovers=left
            ),
        )


def intended(step: str, kind: Any, attempt: int) -> ev.OperationIntended:
    return ev.OperationIntended(step=step, operation=step, kind=kind, attempt=attempt)


def chain(*names: str, **options: Any) -> Saga:
    saga = Saga("s", **options)
    for name in names:
        saga.add_stack(name, program=print)
    return saga


def diamond(**options: Any) -> Saga:
    saga = Saga("s", **options)
    saga.add_stack("base", program=print)
    saga.add_stack("left", program=print, after=["base"])
    saga.add_stack("right", program=print, after=["base"])
    saga.add_stack("top", program=print, after=["left", "right"])
    return saga


def names(commands: Any) -> list[str]:
    return [command.step for command in commands]


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


@pytest.mark.parametrize("kind", ["cancelled", "passphrase"])
def test_what_another_attempt_cannot_mend_is_not_retried(kind: str) -> None:
    """We interrupted it ourselves, or a person must act."""
    saga = Saga("s")
    saga.add_stack("a", program=print, retry=Retry(attempts=3))
    history = History(saga)
    history.fail("a", 1, kind=kind)
    assert isinstance(decide(history.run)[0], StartCompensation)


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


def test_resume_of_a_stopped_run_tries_the_failed_step_again() -> None:
    """Forward again with fresh attempts, the completed steps untouched."""
    history = History(chain("a", "b", on_failure="stop"))
    history.succeed("a")
    history.fail("b")
    history.add(ev.RunFailed(reason="stopped"), ev.RunResumed(direction="forward", actor="a"))
    assert history.run.state is RUNNING
    assert decide(history.run) == (Execute("b", 1),)


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


@pytest.mark.parametrize("state", [COMPLETED, COMPENSATED])
def test_nothing_follows_a_final_state(state: SagaState) -> None:
    """COMPLETED and COMPENSATED are never left."""
    assert not TRANSITIONS[state]


def test_an_event_that_does_not_fit_is_refused_by_name() -> None:
    """A journal that alma did not write so cannot be folded."""
    history = History(chain("a"))
    with pytest.raises(IllegalTransitionError, match="RUNNING to COMPENSATED"):
        history.add(ev.RunCompensated())


def test_fold_of_nothing_is_pending() -> None:
    """A run before its first event."""
    assert fold([]).state is PENDING


def test_the_agenda_is_kept_up_as_if_it_were_made_anew() -> None:
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
                kept = self.run.agenda
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
