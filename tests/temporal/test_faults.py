"""What is lost, cut off, stopped or of other code: nothing is made twice, none is passed over."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from alma.core.events import OperationLeftInDoubt, OperationReconciled
from alma.core.run import SagaState
from tests.services.temporal import Server
from tests.services.wire import Wire
from tests.temporal.replaying import keep
from tests.temporal.stage import Stage, kill
from tests.waiting import until

# Each leaves a file, which its check looks for: what is in doubt is looked at, and not done again.
COMMANDS = """
def said(what, then):
    return (f'echo "{what} $$" >> notes; while [ -e "hold {what}" ]; do sleep 0.05; done; '
        f'if [ -e "fail {what}" ]; then exit 7; fi; {then}')
for name in "ab":
    saga.add_command(
        name, shell=True, work_dir=str(HERE),
        do=said(f"do {name}", f"echo made >> made-{name}"),
        undo=said(f"undo {name}", f"rm -f made-{name}"),
        check=said(f"check {name}", f"test -e made-{name}"),
    )
"""


def made(stage: Stage) -> dict[str, int]:
    """How often each was made, of those that are there."""
    found = sorted(stage.directory.glob("made-*"))
    return {path.name[-1]: len(path.read_text().splitlines()) for path in found}


def clis(stage: Stage, what: str) -> list[psutil.Process]:
    """The commands that do it."""
    return [psutil.Process(pid) for pid in stage.doers(what) if psutil.pid_exists(pid)]


@pytest.mark.parametrize(
    ("phase", "lost"),
    [
        ("check b", "worker"),
        ("do b", "worker"),
        ("do b", "cli"),
        ("do b", "both"),
        ("undo b", "worker"),
        ("undo b", "cli"),
        ("undo b", "both"),
    ],
)
def test_what_a_lost_worker_was_at_another_one_finds_out(
    stage: Stage, phase: str, lost: str
) -> None:
    """Before the intent, in a create, in an undo."""
    stage.write(COMMANDS)
    if phase == "undo b":
        stage.fail("do b")
    stage.hold(phase)
    first = stage.worker()
    up = stage.begin()
    stage.begun(phase)
    stage.worker()
    if lost != "cli":
        kill(first)
    if lost != "worker":
        for one in clis(stage, phase):
            one.kill()
    stage.let_go(phase)
    if (phase, lost) == ("undo b", "cli"):
        assert stage.ended(up) == 10, stage.said()  # as here: an undo that was killed has failed
        assert {left.step for left in stage.run.leftovers} == {"a", "b"}
        return
    if phase == "undo b":
        assert stage.ended(up) == 4, stage.said()
        assert stage.run.state is SagaState.COMPENSATED
        assert made(stage) == {}
        return
    code = stage.ended(up)
    if lost == "cli":
        assert code == 4, stage.said()  # as here: a command that was killed has failed
        assert made(stage) == {}
        return
    assert code == 0, stage.said()
    assert made(stage) == {"a": 1, "b": 1}
    if phase == "do b":
        settled = [one for one in stage.events if isinstance(one, OperationReconciled)]
        assert [one.step for one in settled] == ["b"]


def test_a_worker_that_is_cut_off_longer_than_its_heartbeat_is_waited_for(stage: Stage) -> None:
    host, _, port = stage.temporal.address.partition(":")
    wire = Wire(host, int(port))
    stage.hold("do b")
    first = stage.worker(ALMA_TEMPORAL=f"127.0.0.1:{wire.port}")
    up = stage.begin()
    stage.begun("do b")
    wire.down()
    second = stage.worker()
    try:
        # It has been taken for lost once another one was given its activity.
        until(lambda: attempt(stage) > 1, "another attempt")
        assert stage.notes.count("do b") == 1
        stage.let_go("do b")
        assert stage.ended(up) == 0, stage.said()
        assert stage.notes == ["do a", "do b", "do c"]
        assert stage.doers("do b") == [first.pid]
        assert stage.doers("do c") == [second.pid]
        # Its outcome stands in the journal, although it could be told to nobody.
        assert not any(isinstance(one, OperationLeftInDoubt) for one in stage.events)
    finally:
        wire.close()


def test_what_was_journaled_and_not_reported_is_not_done_again(stage: Stage) -> None:
    host, _, port = stage.temporal.address.partition(":")
    wire = Wire(host, int(port))
    stage.hold("do b")
    first = stage.worker(ALMA_TEMPORAL=f"127.0.0.1:{wire.port}")
    up = stage.begin()
    stage.begun("do b")
    wire.down()
    stage.let_go("do b")
    until(lambda: stage.run.steps["b"].state is SagaState.COMPLETED, "it is journaled")
    kill(first)
    wire.close()
    stage.worker()
    assert stage.ended(up) == 0, stage.said()
    assert stage.notes == ["do a", "do b", "do c"]


def test_all_workers_are_lost_and_come_back(stage: Stage) -> None:
    stage.write(COMMANDS)
    stage.hold("do b")
    first, other = stage.worker(), stage.worker()
    up = stage.begin()
    stage.begun("do b")
    kill(first)
    kill(other)
    stage.let_go("do b")
    stage.worker()
    assert stage.ended(up) == 0, stage.said()
    assert made(stage) == {"a": 1, "b": 1}


def test_a_stopped_worker_goes_on_where_it_was(stage: Stage) -> None:
    stage.hold("do b")
    first = stage.worker()
    up = stage.begin()
    stage.begun("do b")
    first.send_signal(signal.SIGSTOP)
    stage.worker()
    until(lambda: attempt(stage) > 1, "another attempt")
    first.send_signal(signal.SIGCONT)
    stage.let_go("do b")
    assert stage.ended(up) == 0, stage.said()
    assert stage.notes == ["do a", "do b", "do c"]


def test_a_worker_that_is_stopped_twice_leaves_what_is_under_way_to_be_settled(
    stage: Stage,
) -> None:
    stage.write(COMMANDS)
    stage.hold("do b")
    first = stage.worker()
    up = stage.begin()
    stage.begun("do b")
    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGTERM)
    assert stage.ended(first) == 0, stage.said()
    (left,) = [one for one in stage.events if isinstance(one, OperationLeftInDoubt)]
    assert left.reason == "its worker was stopped by a second signal"
    stage.let_go("do b")
    stage.worker()
    assert stage.ended(up) == 0, stage.said()
    assert made(stage) == {"a": 1, "b": 1}


def test_a_server_that_was_killed_has_the_run_go_on_and_so_does_a_long_history(
    tmp_path: Path, own_temporal: Server
) -> None:
    stage = Stage(tmp_path, own_temporal.address, str(tmp_path / "alma" / "journal.db"))
    stage.write()
    stage.hold("do b")
    try:
        stage.worker()
        up = stage.begin()
        stage.begun("do b")
        own_temporal.stop()
        stage.let_go("do b")
        until(lambda: stage.run.steps["b"].state is SagaState.COMPLETED, "it is journaled")
        own_temporal.start()
        if stage.ended(up) != 0:
            until(lambda: stage.run.state.is_final, "it ends")
        assert stage.run.state is SagaState.COMPLETED
        assert stage.notes == ["do a", "do b", "do c"]
        said = own_temporal.address.cli("workflow", "list", "-o", "json")
        assert len(json.loads(said)) > 1, "it has gone on as a new one, with nothing but ids"
        keep("continued", stage.histories()[-1])
    finally:
        stage.close()


def test_a_worker_of_other_code_takes_no_step_forward_and_says_so(stage: Stage) -> None:
    other = stage.write(name="other.py")
    other.write_text(other.read_text().replace('note("do b")', 'note("do b otherwise")'))
    stage.hold("do a")
    first = stage.worker()
    up = stage.begin()
    stage.begun("do a")
    stage.worker(target="other.py")
    first.terminate()  # it ends a, and takes nothing more
    stage.let_go("do a")
    assert stage.ended(first) == 0
    until(lambda: "is of another code than this worker has" in stage.said(), "it says so")
    assert stage.notes == ["do a"]
    stage.worker()
    assert stage.ended(up) == 0, stage.said()
    assert "do b otherwise" not in stage.notes


def test_steps_with_a_queue_are_done_by_its_workers_alone(stage: Stage) -> None:
    queue = f"only-{stage.name}"
    steps = f"""
def do_a(c): note("do a")
def do_b(c): note("do b")
saga.add_step("a", do_a, "none")
saga.add_step("b", do_b, "none", queue="{queue}")
"""
    stage.write(steps)
    anybody = stage.worker()
    up = stage.begin()
    stage.begun("do a")
    only = stage.worker("--queue", queue)
    assert stage.ended(up) == 0, stage.said()
    assert stage.doers("do a") == [anybody.pid]
    assert stage.doers("do b") == [only.pid]


def attempt(stage: Stage) -> int:
    """Which attempt of the turn under way Temporal is at."""
    said = stage.temporal.cli("workflow", "describe", "-w", f"alma/{stage.target}", "-o", "json")
    pending = json.loads(said).get("pendingActivities", [])
    return max((int(one.get("attempt", 1)) for one in pending), default=0)
