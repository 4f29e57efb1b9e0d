"""Playbooks at their deadline, and those whose runner is killed or told to stop."""

from __future__ import annotations

import signal

import pytest

from alma import SagaFailed
from tests.steps.conftest import CANARY, Place
from tests.steps.playbooks import SAGA, playbooks
from tests.steps.test_ansible import saga_of
from tests.waiting import until


async def test_at_the_deadline_it_is_interrupted_and_undone(place: Place) -> None:
    """What it was doing is stopped, and the undo has its own time."""
    saga = saga_of(place, inputs={"gate": str(place.root / "gate")}, timeout=4)
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.error is not None
    assert (result.error.kind, result.state.name) == ("timeout", "COMPENSATED")
    assert place.things() == []


def test_one_signal_to_the_runner_stops_ansible_and_undoes(place: Place) -> None:
    """Ansible gets one SIGINT."""
    playbooks(place.root / "plays")
    (place.root / "saga.py").write_text(SAGA)
    runner = place.start("up", "saga.py", GATE=str(place.root / "gate"))
    until((place.root / "gate.begun").exists)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=300) == 4
    assert place.things() == []
    events = place.document("history", "latest")
    signals = [event["signal"] for event in events if event["type"] == "SignalSent"]
    assert signals == ["SIGINT"]


def test_ansible_outlives_its_runner_and_the_run_goes_on(place: Place) -> None:
    """It is waited for, played again, and leaves nothing of what it was given."""
    playbooks(place.root / "plays")
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    place.kill(runner)
    gate.touch()
    code, said = place.alma("resume", "latest", GATE=str(gate))
    assert code == 0, said
    assert (place.world / "a").read_text() == "made\n"
    assert place.holding(CANARY, but=("saga.py",)) == []
    found = [e for e in place.document("history", "latest") if e["type"] == "OperationReconciled"]
    assert "play" in found[0]["found"]


def test_a_rollback_without_the_saga(place: Place) -> None:
    """From the journal: the undo and its plain variables are in it."""
    playbooks(place.root / "plays")
    saga = place.root / "saga.py"
    text = SAGA.replace('stack="dev"', 'on_failure="stop"')
    text = text.replace('Secret("canary-7Qx9wV-secret")', '"plain"')
    saga.write_text(f'{text}saga.add_step("last", action=lambda: 1 / 0, compensation="none")\n')
    assert place.alma("up", "saga.py")[0] == 10
    saga.unlink()
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert place.things() == []
