"""Signals, pipes and ends of real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alma.errors import AlmaError
from tests.cli.tools import WAITING, names, read_until, wait_for

Write = Callable[..., Path]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_lets_the_step_end_and_undoes_it(
    write: Write, spawn: Spawn, tmp_path: Path, number: signal.Signals
) -> None:
    write(WAITING)
    process = spawn("up")
    wait_for(tmp_path / "at-work")
    process.send_signal(number)
    read_until(process, f"{number.name}: no new step starts")
    (tmp_path / "go").touch()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    assert (tmp_path / "undone").exists()
    assert not (tmp_path / "last").exists()
    assert "verified undone (COMPENSATED)" in err
    assert "signal" in err


def test_two_signals_stop_now_and_say_how_to_go_on(
    write: Write, spawn: Spawn, tmp_path: Path
) -> None:
    write(WAITING)
    process = spawn("up")
    wait_for(tmp_path / "at-work")
    process.send_signal(signal.SIGINT)
    read_until(process, "no new step starts")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 8
    assert "slow/dev is RUNNING (interrupted)." in err
    assert "alma-pulumi resume" in err
    assert "alma-pulumi rollback" in err
    assert not (tmp_path / "undone").exists()

    (tmp_path / "go").touch()
    resumed = spawn("resume", "latest", "--json")
    out, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert json.loads(out)["state"] == "COMPLETED"


def test_an_interrupted_run_can_be_rolled_back(write: Write, spawn: Spawn, tmp_path: Path) -> None:
    write(WAITING)
    process = spawn("up", "--json")
    wait_for(tmp_path / "at-work")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    back = spawn("rollback", "latest")
    _, err = back.communicate(timeout=300)
    assert back.returncode == 4, err
    assert (tmp_path / "undone").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_run_is_8_and_nothing_was_written(
    write: Write, spawn: Spawn, tmp_path: Path, number: signal.Signals
) -> None:
    write("from pathlib import Path\nimport time\nPath('loading').touch()\ntime.sleep(60)\n")
    process = spawn("up")
    wait_for(tmp_path / "loading")
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 8
    assert out == ""
    assert err.lstrip().startswith("error: Interrupted.\nhint: ")
    assert "Traceback" not in err
    assert names(tmp_path) == ["loading", "saga.py"]


def test_under_nohup_sigterm_still_ends_a_command_before_its_run(
    write: Write, spawn: Spawn, tmp_path: Path
) -> None:
    write("from pathlib import Path\nimport time\nPath('loading').touch()\ntime.sleep(60)\n")
    process = spawn("up", ignoring="INT")
    wait_for(tmp_path / "loading")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 8
    assert err.lstrip().startswith("error: Interrupted.")


def test_under_nohup_sigint_stays_ignored_and_sigterm_undoes(
    write: Write, spawn: Spawn, tmp_path: Path
) -> None:
    write(WAITING)
    process = spawn("up", ignoring="INT")
    wait_for(tmp_path / "at-work")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    read_until(process, "SIGTERM: no new step starts")
    (tmp_path / "go").touch()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    assert "SIGINT" not in err


def test_a_reader_that_left_is_no_error(write: Write, spawn: Spawn) -> None:
    write()
    assert spawn("up").wait(30) == 0
    for words in (["history", "latest"], ["status"], ["runs", "--json"], ["up"]):
        ours, theirs = os.pipe()
        os.close(ours)
        process = spawn(*words, stdout=theirs)
        os.close(theirs)
        _, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, ""), words


@pytest.mark.parametrize("words", [["runs"], ["runs", "--json"]])
def test_a_full_disk_under_the_answer_is_told(spawn: Spawn, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        process = spawn(*words, stdout=full)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "No space left on device" in err
    assert "Traceback" not in err


def test_closed_standard_streams_are_no_crash(write: Write, environment: dict[str, str]) -> None:
    write()
    command = f"exec {sys.executable} -m alma up >&- 2>&- <&-"
    done = subprocess.run(["sh", "-c", command], env=environment, timeout=300, check=False)
    assert done.returncode == 0


def test_the_package_can_be_run(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alma", "--version"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.startswith("alma-pulumi ")


def test_every_error_of_alma_has_an_exit_code_of_the_contract() -> None:
    def descend(kind: type[AlmaError]) -> list[type[AlmaError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in descend(child))]

    for kind in descend(AlmaError):
        if isinstance(kind.exit_code, int):
            assert kind.exit_code in (1, 2, 3, 6, 8, 11), kind
