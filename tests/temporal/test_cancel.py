"""Somebody cancels, in each phase of a run: only that turns one back, and only one that goes on."""

from __future__ import annotations

import pytest

from alma.core.events import CompensationStarted, InterruptReceived, OperationFailed
from alma.core.run import SagaState
from tests.temporal.replaying import keep
from tests.temporal.stage import Stage
from tests.waiting import until

RETRIED = """
from alma import Retry
def do_a(c): note("do a")
def undo_a(c): note("undo a")
def do_b(c): note("do b")
def undo_b(c): note("undo b")
saga.add_step("a", do_a, undo_a)
saga.add_step("b", do_b, undo_b, retry=Retry(attempts=2, delay=3600, max_delay=3600))
"""
APPROVED = """
def do_a(c): note("do a")
def undo_a(c): note("undo a")
def do_b(c): note("do b")
saga.add_step("a", do_a, undo_a)
saga.add_approval("ask", ["jane"])
saga.add_step("b", do_b, "none")
"""


def asked(stage: Stage, how: str) -> None:
    """To stop; it is in the journal."""
    if how == "alma":
        said = stage.call("cancel", "latest")
        assert said.returncode == 0, said.stderr
    else:
        stage.temporal.cli("workflow", "cancel", "-w", stage.workflow)
    until(lambda: any(isinstance(one, InterruptReceived) for one in stage.events), "it is told")


@pytest.mark.parametrize("how", ["alma", "temporal"])
def test_a_cancel_ends_the_wait_for_a_retry(stage: Stage, how: str) -> None:
    stage.write(RETRIED)
    stage.fail("do b")
    stage.worker()
    up = stage.begin()
    until(
        lambda: stage.is_known() and any(isinstance(e, OperationFailed) for e in stage.events),
        "it has failed once",
    )
    asked(stage, how)
    assert stage.ended(up) == 4, stage.said()
    assert stage.notes == ["do a", "do b", "undo b", "undo a"]
    if how == "temporal":
        keep("cancelled", stage.histories()[0])


def test_a_cancel_in_an_undo_lets_it_go_on(stage: Stage) -> None:
    stage.fail("do c")
    stage.hold("undo b")
    stage.worker()
    up = stage.begin()
    stage.begun("undo b")
    said = stage.call("cancel", "latest")
    assert said.returncode == 2, said.stderr
    assert "is being undone" in said.stderr
    asked(stage, "temporal")
    stage.let_go("undo b")
    assert stage.ended(up) == 4, stage.said()
    assert stage.notes == ["do a", "do b", "do c", "undo c", "undo b", "undo a"]
    (back,) = [one for one in stage.events if isinstance(one, CompensationStarted)]
    assert back.failed_step == "c"


def test_who_waits_for_an_approval_is_driven_by_nobody_and_goes_on_once_it_is_there(
    stage: Stage,
) -> None:
    stage.write(APPROVED)
    stage.worker()
    done = stage.up()
    assert done.returncode == 8, done.stderr + stage.said()
    said = stage.call("cancel", "latest")
    assert said.returncode == 2, said.stderr
    assert "nobody drives it" in said.stderr
    yes = stage.call("approve", "latest", "ask", "--reason", "seen", ALMA_ACTOR="jane")
    assert yes.returncode == 0, yes.stderr
    again = stage.call("resume", "latest")
    assert again.returncode == 0, again.stderr + stage.said()
    assert stage.run.state is SagaState.COMPLETED
    assert stage.notes == ["do a", "do b"]
