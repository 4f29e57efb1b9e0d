"""Runs that Temporal drives, by a real server and workers that are processes of their own."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.worker import Worker

from alma.core.events import CompensationStarted, InterruptReceived, RunInterrupted, RunResumed
from alma.core.run import SagaState
from alma.journal import open_journal
from alma.journal.reading import view_run
from alma.reports.run_report import sentence
from alma.runner.temporal.worker import sandbox
from tests.services.temporal import Temporal
from tests.temporal.deciding import Deciding
from tests.temporal.replaying import keep
from tests.temporal.stage import Stage
from tests.waiting import until


def test_a_run_is_shown_as_if_it_were_here(stage: Stage) -> None:
    stage.worker()
    done = stage.up()
    assert done.returncode == 0, done.stderr + stage.said()
    assert stage.notes == ["do a", "do b", "do c"]
    assert "a: action completed" in done.stdout
    assert 'a.url: "canary-in-an-output"' in done.stdout
    assert stage.run.state is SagaState.COMPLETED
    again = stage.call("status", "--json")
    assert json.loads(again.stdout)["state"] == "COMPLETED"


def test_what_has_failed_is_undone_and_its_history_tells_nothing(stage: Stage) -> None:
    stage.fail("do c")
    stage.worker()
    done = stage.up()
    assert done.returncode == 4, done.stderr + stage.said()
    assert stage.notes == ["do a", "do b", "do c", "undo c", "undo b", "undo a"]
    assert "canary-in-an-error" in done.stderr
    exported = stage.exported()
    assert "canary" not in exported
    assert "RuntimeError" not in exported
    (history,) = stage.histories()
    last = history["events"][-1]["workflowExecutionFailedEventAttributes"]["failure"]
    assert last["message"].startswith(f"{stage.target}: COMPENSATED (run {stage.run.run})")
    assert last["message"].endswith("; 3 of 3 steps undone; c failed")
    assert "stackTrace" not in last
    # So that what is searched is what is there, and not nothing.
    assert '"b"' in exported
    assert stage.run.run in exported
    keep("compensated", history)


def test_who_is_to_be_told_of_it_is_told_by_its_workers(stage: Stage) -> None:
    path = stage.write()
    told = "NotifyCommand(['sh', '-c', 'cat >> told'], on=['compensating', 'compensated'])"
    saga = path.read_text().replace('stack="dev")', f'stack="dev", notify=[{told}])')
    path.write_text(saga.replace("import Saga", "import NotifyCommand, Saga"))
    stage.fail("do b")
    stage.worker()
    done = stage.up()
    assert done.returncode == 4, done.stderr + stage.said()

    def states() -> list[tuple[str, str]]:
        with open_journal(stage.journal, write=False) as journal:
            return [(row.notice, row.state) for row in journal.deliveries()]

    wanted = [("compensating", "delivered"), ("compensated", "delivered")]
    until(lambda: states() == wanted, lambda: f"both are told {states()} {stage.said()}")
    assert '"run.compensated"' in (stage.directory / "told").read_text()


def test_a_failed_undo_is_never_passed_over_and_rollback_goes_on(stage: Stage) -> None:
    stage.fail("do c")
    stage.fail("undo b")
    stage.worker()
    done = stage.up()
    assert done.returncode == 10, done.stderr + stage.said()
    assert stage.run.state is SagaState.FAILED
    assert {left.step for left in stage.run.leftovers} == {"a", "b"}
    stage.mend("undo b")
    again = stage.call("rollback", "latest", "--yes")
    assert again.returncode == 4, again.stderr + stage.said()
    assert stage.notes[-2:] == ["undo b", "undo a"]


def test_the_server_alone_tells_where_a_saga_stands(stage: Stage) -> None:
    stage.worker()
    stage.hold("do b")
    up = stage.begin()
    stage.begun("do b")

    async def found() -> tuple[Any, Any, str]:
        client = await Client.connect(stage.temporal.address)
        query = f'AlmaSaga = "{stage.name}" AND AlmaStack = "dev" AND AlmaState = "running"'
        rows = [one async for one in client.list_workflows(query)]
        (one,) = rows
        memo = await one.memo()
        handle = client.get_workflow_handle(one.id)
        details = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        (activity,) = (await handle.describe()).raw_description.pending_activities
        (beat,) = activity.heartbeat_details.payloads
        return memo, beat, details.current_details

    memo, beat, details = until(lambda: _or_none(found()), "it is listed, and has said so")
    assert memo == {"run": stage.run.run}
    assert json.loads(beat.data) == "execute b"
    run = f"{stage.target}: RUNNING (run {stage.run.run})"
    assert details == f"{run}; 1 of 3 steps done; at work on b"
    stage.let_go("do b")
    assert stage.ended(up) == 0


def test_of_two_ups_at_once_one_goes_on(stage: Stage) -> None:
    stage.worker()
    stage.hold("do a")
    up = stage.begin()
    stage.begun("do a")
    other = stage.up()
    assert other.returncode == 11
    assert "Temporal drives" in other.stderr
    here = stage.call("up", "saga.py", "--yes", ALMA_TEMPORAL="")
    stage.let_go("do a")
    assert stage.ended(up) == 0
    assert here.returncode == 11
    assert "Temporal drives run" in here.stderr
    assert stage.notes == ["do a", "do b", "do c"]


def test_what_is_under_way_there_is_so_for_every_command(stage: Stage) -> None:
    """Nobody holds its lease meanwhile: it is neither interrupted, nor failed, nor at rest."""
    stage.worker()
    stage.hold("do a")
    up = stage.begin()
    stage.begun("do a")
    with open_journal(stage.journal, write=False) as journal:
        assert sentence(view_run(journal, stage.run.run)) == "It is running."
    drift = stage.call("drift", "saga.py")
    copied = stage.call("journal", "copy", stage.journal, str(stage.directory / "copy.db"))
    stage.let_go("do a")
    assert stage.ended(up) == 0
    assert drift.returncode == 11, drift.stdout
    assert "is under way" in drift.stderr
    assert copied.returncode == 11, copied.stdout
    assert "is at work" in copied.stderr


@pytest.mark.parametrize("how", ["alma", "temporal", "signal"])
def test_a_users_cancel_turns_the_run_back(stage: Stage, how: str) -> None:
    stage.worker()
    stage.hold("do b")
    up = stage.begin()
    stage.begun("do b")
    if how == "alma":
        said = stage.call("cancel", "latest")
        assert said.returncode == 0, said.stderr
    elif how == "signal":
        up.terminate()
    else:
        stage.temporal.cli("workflow", "cancel", "-w", f"alma/{stage.target}")
    until(lambda: any(isinstance(one, InterruptReceived) for one in stage.events), "it is told")
    stage.let_go("do b")
    assert stage.ended(up) == 4, stage.said()
    assert stage.notes == ["do a", "do b", "undo b", "undo a"]
    assert any(isinstance(one, CompensationStarted) for one in stage.events)


def test_a_paused_activity_turns_nothing_back(stage: Stage) -> None:
    stage.worker()
    stage.hold("do b")
    up = stage.begin()
    stage.begun("do b")
    described = json.loads(
        stage.temporal.cli("workflow", "describe", "-w", f"alma/{stage.target}", "-o", "json")
    )
    (pending,) = described["pendingActivities"]
    which = ("-w", f"alma/{stage.target}", "--activity-id", pending["activityId"])
    stage.temporal.cli("activity", "pause", *which)
    stage.let_go("do b")
    until(lambda: stage.run.steps["b"].state is SagaState.COMPLETED, "b is done")
    assert stage.ended(up) == 0, stage.said()
    assert stage.notes == ["do a", "do b", "do c"]


def test_a_reset_workflow_does_nothing_twice(stage: Stage) -> None:
    stage.worker()
    stage.hold("do b")
    up = stage.begin()
    stage.begun("do b")
    words = ("-w", f"alma/{stage.target}", "--type", "FirstWorkflowTask", "--reason", "to try it")
    stage.temporal.cli("workflow", "reset", *words)
    stage.let_go("do b")
    stage.ended(up)
    until(
        lambda: stage.run.state is SagaState.COMPLETED, lambda: f"the reset run ends {stage.said()}"
    )
    assert stage.notes.count("do a") == 1
    assert stage.notes.count("do c") == 1


def test_an_operators_abandon_needs_no_server(stage: Stage) -> None:
    worker = stage.worker()
    stage.hold("do b")
    stage.begin()
    stage.begun("do b")
    busy = stage.call("abandon", "latest", "--reason", "to see")
    assert busy.returncode == 11
    assert "at work on b" in busy.stderr
    worker.kill()
    worker.wait()
    stage.let_go("do b")
    done = stage.call("abandon", "latest", "--reason", "the cluster is gone")
    assert done.returncode == 10, done.stderr
    assert stage.run.state is SagaState.FAILED
    assert {left.step for left in stage.run.leftovers} == {"a", "b"}


def test_a_run_that_was_stopped_goes_on_where_it_was_driven(stage: Stage) -> None:
    path = stage.write()
    path.write_text(path.read_text().replace('stack="dev"', 'stack="dev", ttl="4h"'))
    first = stage.worker()
    stage.hold("do b")
    up = stage.begin()
    stage.begun("do b")
    stage.temporal.cli("workflow", "terminate", "-w", f"alma/{stage.target}")
    assert stage.ended(up) == 8, "it is half way, and goes on by resume"
    first.terminate()
    stage.let_go("do b")
    assert stage.ended(first) == 0, "a worker that is asked to end lets what is under way end"
    stage.worker()
    expires = stage.run.expires_at
    assert expires is not None
    done = stage.call("resume", "latest", "--reason", "canary-of-a-reason")
    assert done.returncode == 0, done.stderr + stage.said()
    assert stage.notes[-1] == "do c"
    (resumed,) = [one for one in stage.events if isinstance(one, RunResumed)]
    assert resumed.reason == "canary-of-a-reason", "as a page's action says it, too"
    assert "canary" not in stage.exported()
    assert stage.run.expires_at == expires
    assert not any(isinstance(one, RunInterrupted) for one in stage.events)
    over = stage.call("resume", "latest", "--target", "saga.py")
    assert over.returncode == 0, "it is over, and is told as one that ran here"


def test_who_waits_for_a_worker_is_let_go_and_the_run_does_nothing(stage: Stage) -> None:
    up = stage.begin()
    log = stage.directory / "command-0.log"
    until(lambda: b"no worker has begun yet" in log.read_bytes(), "it waits")
    other = stage.up()  # nothing is in the journal yet: only Temporal knows of the first one
    assert other.returncode == 11, other.stderr
    assert "Temporal drives" in other.stderr
    up.terminate()
    words = ("workflow", "show", "-w", f"alma/{stage.target}")
    until(lambda: "CancelRequested" in stage.temporal.cli(*words), "it is asked to stop")
    until(lambda: b"SIGTERM: a worker that takes it" in log.read_bytes(), "that is said")
    up.terminate()
    assert stage.ended(up) == 8, log.read_text()
    assert "was asked to stop" in log.read_text()
    stage.worker()
    until(lambda: stage.is_known() and stage.run.state.is_final, "it is undone")
    assert stage.run.state is SagaState.COMPENSATED
    assert stage.notes == []


def test_decide_runs_in_the_sandbox_of_a_workflow(temporal: Temporal) -> None:
    """Without a warning: those are errors here."""

    async def decided() -> list[str]:
        client = await Client.connect(temporal.address)
        queue = f"deciding-{uuid4().hex[:8]}"
        runner = sandbox()
        async with Worker(client, task_queue=queue, workflows=[Deciding], workflow_runner=runner):
            found: list[str] = await client.execute_workflow(
                Deciding.run, id=queue, task_queue=queue
            )
        return found

    assert asyncio.run(decided()) == ["left", "right"]


def _or_none(work: Any) -> Any:
    try:
        return asyncio.run(work)
    except ValueError:
        return None
