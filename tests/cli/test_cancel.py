"""`cancel`: the one runner of a run is asked to stop, and nobody else is signalled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from msgspec.structs import replace

from alma.system import stopping
from alma.system.processes import identify, this_process
from alma.system.stopping import UnprovenError, ask_to_stop
from tests.cli.tools import WAITING, read_until, wait_for

Write = Callable[..., Path]
Call = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]


def test_the_step_ends_and_the_run_is_undone(
    write: Write, spawn: Spawn, cli: Call, tmp_path: Path
) -> None:
    write(WAITING)
    up = spawn("up", ignoring="INT")  # as a shell's job in the background
    wait_for(tmp_path / "at-work")
    asked = cli("cancel", "latest")
    assert asked.exit_code == 0, asked.stderr
    assert "was asked to stop: no new step starts" in asked.stdout
    assert "Then all that it has started is undone." in asked.stdout
    # Asked twice it is asked once: a second signal would cut the step off.
    again = cli("cancel", "latest", "--json")
    assert json.loads(again.stdout)["state"] == "RUNNING"
    read_until(up, "SIGTERM: no new step starts")
    (tmp_path / "go").touch()
    _, err = up.communicate(timeout=300)
    assert up.returncode == 4, err
    history = [event["type"] for event in json.loads(cli("history", "latest", "--json").stdout)]
    assert history.count("InterruptReceived") == 1
    told = cli("cancel", "latest")
    assert told.exit_code == 2
    assert "is COMPENSATED: there is nothing to cancel." in told.stderr


def test_a_run_that_nobody_drives_is_told_and_how_it_goes_on(
    write: Write, spawn: Spawn, cli: Call, tmp_path: Path
) -> None:
    write(WAITING)
    up = spawn("up")
    wait_for(tmp_path / "at-work")
    up.kill()
    up.wait()
    told = cli("cancel", "latest")
    assert told.exit_code == 2
    assert "nobody drives it" in told.stderr
    assert "alma-pulumi resume" in told.stderr


def test_another_place_than_the_runners_sends_nothing(
    write: Write, spawn: Spawn, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(WAITING)
    up = spawn("up")
    wait_for(tmp_path / "at-work")
    monkeypatch.setattr(stopping, "PLACE", f"{stopping.HOST}#0-0")
    told = cli("cancel", "latest")
    assert told.exit_code == 11
    assert "in another container" in told.stderr
    assert "nothing was sent" in told.stderr
    (tmp_path / "go").touch()
    up.communicate(timeout=300)
    assert up.returncode == 0


def test_only_the_very_process_is_signalled() -> None:
    """One that catches the signal, of this place, with its own start time."""
    catching = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print(flush=True); "
    child = subprocess.Popen(
        [sys.executable, "-c", f"{catching}signal.pause()"], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        process = identify(child.pid)
        for other, why in (
            (replace(process, host="elsewhere"), "not here"),
            (replace(process, started=process.started - 60), "any more"),
        ):
            with pytest.raises(UnprovenError, match=why):
                ask_to_stop(other)
        assert child.poll() is None
        ask_to_stop(process)
        assert child.wait(30) == 7
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals are caught")
def test_a_host_that_would_be_killed_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            with pytest.raises(UnprovenError, match="does not catch SIGTERM"):
                ask_to_stop(identify(child.pid))
            assert child.poll() is None
        finally:
            child.kill()


def test_another_users_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(UnprovenError, match="belongs to another user"):
        ask_to_stop(this_process())
