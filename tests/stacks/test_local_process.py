"""The process helper, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stacks.local import process, service
from stacks.local.process import Identity, ProcessError, Started

NAMES = "stacks.local.names"


def start_one(scratch: Path, **more: object) -> Started:
    return process.start(
        NAMES,
        label="one",
        log=scratch / "log",
        args=["--data", str(scratch / "names.json")],
        **more,  # type: ignore[arg-type]
    )


def test_a_started_process_lives_in_a_session_of_its_own_until_it_is_stopped(
    scratch: Path,
) -> None:
    one = start_one(scratch).identity
    assert process.alive(one)
    assert os.getsid(one.pid) == one.pid != os.getsid(0)
    process.stop(one)
    assert not process.alive(one)
    process.stop(one)  # gone already: a success


def test_a_pid_with_another_start_time_is_not_that_process(scratch: Path) -> None:
    one = start_one(scratch).identity
    reused = replace(one, start=one.start - 3600)
    assert not process.alive(reused)
    process.stop(reused)
    process.send(reused, signal.SIGKILL)
    assert process.alive(one)


def test_what_does_not_heed_sigterm_is_killed(scratch: Path) -> None:
    one = start_one(scratch).identity
    os.kill(one.pid, signal.SIGSTOP)  # a stopped process takes no SIGTERM
    process.stop(one, term=0.1)
    assert not process.alive(one)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        identity = Identity(child.pid, psutil.Process(child.pid).create_time())
        assert process.alive(identity)
        child.kill()
        assert process.until(lambda: not process.alive(identity), 60)
        assert child.returncode is None, "it was not waited for, so it is a zombie"
    finally:
        child.kill()
        child.communicate()


def test_the_reason_of_a_process_that_refuses_is_passed_on(scratch: Path) -> None:
    port = start_one(scratch).port
    with pytest.raises(ProcessError, match=rf"^two: port {port}: address already in use$"):
        process.start(
            NAMES,
            label="two",
            log=scratch / "log2",
            args=["--port", str(port), "--data", str(scratch / "names.json")],
        )


def test_the_last_words_of_a_process_that_dies_are_in_the_error(scratch: Path) -> None:
    with pytest.raises(ProcessError, match=r"^x: ended before it was ready: .*no_such_module"):
        process.start("no_such_module", label="x", log=scratch / "log")


def test_a_process_that_does_not_get_ready_is_stopped_at_the_deadline(scratch: Path) -> None:
    # Stopped the moment it is there, it never gets to say anything.
    seen: list[Identity] = []

    def freeze(identity: Identity) -> None:
        seen.append(identity)
        os.kill(identity.pid, signal.SIGSTOP)

    began = time.monotonic()
    with pytest.raises(ProcessError, match=r"^one: not ready within 0.2 s$"):
        start_one(scratch, started=freeze, wait=0.2)
    assert time.monotonic() - began < 8
    assert not process.alive(seen[0])


def test_settings_and_environment_are_not_to_be_seen(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "hush-1")
    one = start_one(scratch, settings={"password": "hush-2"})
    seen = psutil.Process(one.identity.pid)
    shown = " ".join([*seen.cmdline(), *seen.environ().values()])
    assert "hush" not in shown
    assert "hush" not in (scratch / "log").read_text()


def test_a_start_replaces_what_an_interrupted_start_of_the_same_owner_left(scratch: Path) -> None:
    def launch(owner: str) -> Started:
        args = ["--data", str(scratch / "names.json")]
        return service.launch(NAMES, directory=scratch / "d" / "one", owner=owner, args=args)

    lost = launch("me").identity
    with pytest.raises(ProcessError, match=r"^you: .* is in use by me$"):
        launch("you")
    assert process.alive(lost)
    found = launch("me").identity
    assert not process.alive(lost)
    assert process.alive(found)

    service.retire(scratch / "d" / "one", "you", None)
    assert process.alive(found), "another owner's process is left alone"
    service.retire(scratch / "d" / "one", "me", None)  # found by its record alone
    assert not process.alive(found)
    assert not (scratch / "d").exists()
    service.retire(scratch / "d" / "one", "me", found)


def test_the_files_are_private_and_a_directory_of_the_user_stays(scratch: Path) -> None:
    (scratch / "mine").mkdir()
    directory = scratch / "mine" / "one"
    service.launch(
        NAMES, directory=directory, owner="me", args=["--data", str(scratch / "names.json")]
    )
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {f.stat().st_mode & 0o077 for f in directory.iterdir()} == {0}
    service.retire(directory, "me", None)
    assert list((scratch / "mine").iterdir()) == []
