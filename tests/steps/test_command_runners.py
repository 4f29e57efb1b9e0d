"""Commands at their deadline, and those whose runner is killed or told to stop."""

from __future__ import annotations

import json
import os
import signal
import sys

import psutil
import pytest

from alma import SagaFailed
from tests.steps.commands import LAST, SAGA, calls, program
from tests.steps.conftest import CANARY, Place
from tests.steps.test_command import saga_of, types, words
from tests.waiting import until


async def test_at_the_deadline_all_of_it_is_ended_and_undone(place: Place) -> None:
    """A shell ends at its signal, and what it has started does not: no undo begins beside that."""
    hangs = f"touch world/a; {sys.executable} -c 'import time; time.sleep(600)' its-marker & wait"
    saga = saga_of(place, do=["sh", "-c", hangs], timeout=1.5)
    from alma.runner.settings import Settings
    from alma.runner.start import up

    with pytest.raises(SagaFailed) as caught:
        await up(saga, settings=Settings(grace=0.3))
    assert caught.value.result.error is not None
    assert caught.value.result.error.kind == "timeout"
    assert caught.value.result.state.name == "COMPENSATED"
    assert place.things() == []
    mine = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    assert not [p for p in mine if p.info["cmdline"][-1] == "its-marker"]


def test_a_command_outlives_its_runner_and_is_not_repeated(place: Place) -> None:
    """It is waited for; the check says that it is there, and what it has written is not lost."""
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    place.kill(runner)
    runner = place.start("resume", "latest", GATE=str(gate))
    until(lambda: "RunResumed" in types(place))
    assert "OperationReconciled" not in types(place)
    gate.touch()
    _, said = runner.communicate(timeout=300)
    assert runner.returncode == 0, said
    assert words(place) == ["check", "do", "check"]
    found = place.document("status", "latest")["outputs"]["thing"]
    assert found == {"id": "a-1", "token": "[secret]"}
    assert place.holding(CANARY, but=("saga.py",)) == []


def test_killed_with_its_runner_it_is_told_that_it_is_in_doubt(place: Place) -> None:
    """The check says that it is not there: it is done again, under the same key."""
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    events = place.document("history", "latest")
    [process] = [e["process"] for e in events if e["type"] == "ProcessSpawned"]
    place.kill(runner)
    os.killpg(process["pid"], signal.SIGKILL)
    (place.world / "a").unlink()
    gate.touch()
    code, said = place.alma("resume", "latest", GATE=str(gate))
    assert code == 0, said
    assert place.things() == ["a"]
    done = [(key, doubt) for word, key, doubt in calls(place.root) if word == "do"]
    assert [doubt for _, doubt in done] == ["0", "1"]
    assert len({key for key, _ in done}) == 1


def test_a_rollback_without_the_saga_has_its_secrets(place: Place) -> None:
    """From the journal: the commands, their directory, where their programs are, and the inputs."""
    program(place.root)
    saga = place.root / "saga.py"
    saga.write_text(SAGA + LAST)
    assert place.alma("up", "saga.py", POLICY="stop")[0] == 10
    saga.unlink()
    (place.root / "thing.sh").rename(place.root / "hidden.sh")
    code, said = place.alma("rollback", "latest")
    assert code == 2, said
    assert "its program" in said
    assert "is not there any more" in said
    (place.root / "hidden.sh").rename(place.root / "thing.sh")
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert place.things() == []
    assert json.loads((place.root / "result").read_text())["token"] == "token-of-a"
    assert place.holding(CANARY) == []


def test_one_signal_ends_it_and_it_is_undone(place: Place) -> None:
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    runner = place.start("up", "saga.py", GATE=str(place.root / "gate"))
    until((place.root / "gate.begun").exists)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=300) == 4
    assert place.things() == []
