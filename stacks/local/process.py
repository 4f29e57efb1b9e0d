"""Detached processes: start one and know that it is ready, tell whether it lives, stop it.

A process is known by its pid *and* its start time, so that a number the kernel has handed on to
somebody else is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
"""The directory from which `stacks` is imported."""

READY_WITHIN = 10.0
"""Seconds a process has to say that it is ready."""

# The start time is the boot time, which the kernel gives in whole seconds and corrects with the
# clock, plus an exact offset. A pid cannot come round again within two seconds of its own start.
_START_TOLERANCE = 2.0

# Our own children have to be waited for, or they stay as zombies until this process ends.
_children: dict[int, subprocess.Popen[bytes]] = {}


class ProcessError(RuntimeError):
    """A process could not be started, or could not be stopped; one sentence says why."""


@dataclass(frozen=True)
class Identity:
    """Which process: `pid`, and `start` in seconds since the epoch."""

    pid: int
    start: float


@dataclass(frozen=True)
class Started:
    """A process that has said it is ready, and the port it listens on."""

    identity: Identity
    port: int


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll `condition` until it holds (True) or `seconds` have passed (False)."""
    deadline, pause = time.monotonic() + seconds, 0.001
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.02)
    return True


def alive(identity: Identity) -> bool:
    """Whether that very process runs. A zombie does not, its threads having ended."""
    child = _children.get(identity.pid)
    if child is not None and child.poll() is not None:
        _children.pop(identity.pid, None)
    try:
        found = psutil.Process(identity.pid)
        same = abs(found.create_time() - identity.start) < _START_TOLERANCE
        # A zombie with threads is still dying, and its ports and files are still open.
        return same and (found.status() != psutil.STATUS_ZOMBIE or found.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def stop(identity: Identity, *, term: float = 3.0, kill: float = 3.0) -> None:
    """End the process and return once it has ended; one that is gone already is a success.

    SIGTERM, up to `term` seconds, then SIGKILL to its session's group, up to `kill` seconds.
    Raises ProcessError when it is there even so.
    """
    for number, seconds in ((signal.SIGTERM, term), (signal.SIGKILL, kill)):
        if not alive(identity):
            return
        send(identity, number)
        if until(lambda: not alive(identity), seconds):
            return
    raise ProcessError(f"process {identity.pid} is still there {kill:g} s after SIGKILL")


def send(identity: Identity, number: signal.Signals) -> None:
    """Signal the process; nothing happens when it is gone. SIGKILL goes to its whole group."""
    if not alive(identity):
        return
    try:
        # Only a leader's group is surely its own: any other would take bystanders with it.
        if number is signal.SIGKILL and os.getpgid(identity.pid) == identity.pid:
            os.killpg(identity.pid, number)
        else:
            os.kill(identity.pid, number)
    except ProcessLookupError:
        pass


def start(
    module: str,
    *,
    label: str,
    log: Path,
    args: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    started: Callable[[Identity], None] | None = None,
    wait: float = READY_WITHIN,
) -> Started:
    """Start `python -m <module>` in a session of its own and return once it says it is ready.

    `settings` go to its standard input as JSON, so that a secret among them stands neither in the
    argument list nor in the environment nor in a file. `started` is called at once with the
    identity, before the process is ready. The process answers through a pipe with one line,
    `{"port": 1234}` or `{"error": "why not"}`. Raises ProcessError, with `label` in front, when it
    reports an error, ends, or is not ready within `wait` seconds; nothing is left running then.
    """
    reading, writing = os.pipe()
    try:
        try:
            child = _spawn(module, [*args, "--ready-fd", str(writing)], writing, log)
        finally:
            os.close(writing)
        _children[child.pid] = child
        identity = Identity(child.pid, psutil.Process(child.pid).create_time())
        try:
            if started is not None:
                started(identity)
            # A broken pipe: it has ended. The end of the other pipe says so, its log says why.
            with (
                contextlib.suppress(BrokenPipeError),
                child.stdin or contextlib.nullcontext() as to,
            ):
                if to is not None:
                    to.write(json.dumps(dict(settings or {})).encode())
            answer = _answer(reading, wait)
            if answer is None:
                raise ProcessError(f"{label}: not ready within {wait:g} s")
            if "port" not in answer:
                raise ProcessError(f"{label}: {answer.get('error') or _last_words(log)}")
            return Started(identity, int(answer["port"]))
        except BaseException:
            stop(identity)
            raise
    finally:
        os.close(reading)


def _spawn(module: str, args: list[str], inherit: int, log: Path) -> subprocess.Popen[bytes]:
    # Little of our own environment goes on: Pulumi's holds the passphrase. `-S` leaves out
    # site-packages, which halves the time to start; the modules need the standard library alone.
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TZ")}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", module, *args],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            pass_fds=(inherit,),
        )


def _answer(descriptor: int, wait: float) -> dict[str, Any] | None:
    """The line the process wrote; {} when it ended without one, None at the deadline."""
    deadline, received = time.monotonic() + wait, b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            part = os.read(descriptor, 65536)
            if not part:
                return {}
            received += part
    answer: dict[str, Any] = json.loads(received)
    return answer


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"ended before it was ready: {lines[-1] if lines else 'its log is empty'}"
