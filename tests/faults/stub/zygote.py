"""Makes runners and workers quickly: real processes, forked from one that has imported it all.

`python -m tests.faults.stub.zygote` reads one JSON object a line from stdin (directory, operation)
and forks a runner for it; it writes `{"pid": ...}` and later `{"pid": ..., "exit": ...}`. A runner
forks a factory of workers before it does anything else. Starting Python and importing pulumi
costs half a second of CPU, several times for each kill; nothing else about the processes differs.
So all that a runner or a worker comes to import is imported here, and stays out of their garbage
collections, which would copy every page of it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import alma.pulumi.automation.__main__
import alma.pulumi.automation.operation  # as a worker does: pulumi, a quarter of a second
import alma.pulumi.local
import alma.pulumi.prewarm
from tests.faults.stub import runner

LATER: Final = (
    *("alma.journal", "alma.pulumi", "alma.steps.stack"),
    *("cryptography.fernet", "grpc._server", "sqlite_utils.migrations", "dateutil.tz"),
)
"""Packages, and modules of libraries, that are imported when they are first needed."""


def main() -> None:
    """Serve until stdin ends."""
    _import_all()
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writes)
    buffer = b""
    while True:
        ready, _, _ = select.select([0, reads], [], [])
        if reads in ready:
            os.read(reads, 4096)
            _reap()
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                _say({"pid": _fork_runner(json.loads(line))})


def _import_all() -> None:
    for name in LATER:
        package = importlib.import_module(name)
        if name.startswith("alma."):
            for found in pkgutil.walk_packages(package.__path__, f"{name}."):
                importlib.import_module(found.name)
    gc.collect()
    gc.freeze()


def _say(answer: dict[str, Any]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _say({"pid": pid, "exit": os.waitstatus_to_exitcode(status)})


def _fork_runner(task: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        _redirect(Path(task["directory"]) / "runner.log")
        os.chdir(task["directory"])
        os.environ.update(task["environ"])
        factory = Factory(Path(task["directory"]))
        alma.pulumi.prewarm.subprocess = factory  # type: ignore[assignment]
        code = runner.run(task)
    except BaseException as error:  # noqa: BLE001 - the log is all that is left of it
        os.write(2, f"runner: {type(error).__name__}: {error}\n".encode())
        code = 255
    os._exit(code)


def _redirect(path: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.close(descriptor)


class Factory:
    """Stands in for `subprocess` where workers are started: forks them in a process of its own."""

    DEVNULL = -3

    def __init__(self, directory: Path) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        if not os.fork():
            ours.close()
            _make_workers(theirs, directory)
        theirs.close()

    def Popen(self, arguments: list[str], **options: Any) -> _Worker:  # noqa: N802 - as subprocess
        """A worker with the other end of its connection."""
        environ = {key: value for key, value in options["env"].items() if key != "PYTHONPATH"}
        body = json.dumps({"environ": environ}).encode()
        descriptor = arguments[arguments.index("alma.pulumi.automation") + 1]
        socket.send_fds(self._socket, [body], [int(descriptor)])
        return _Worker(self, int(json.loads(self._socket.recv(1024))["pid"]))

    def poll(self, pid: int) -> int | None:
        """The exit code, once it has ended."""
        self._socket.send(json.dumps({"poll": pid}).encode())
        code = json.loads(self._socket.recv(1024))["exit"]
        return None if code is None else int(code)


class _Worker:
    def __init__(self, factory: Factory, pid: int) -> None:
        self.pid = pid
        self._factory = factory

    def poll(self) -> int | None:
        return self._factory.poll(self.pid)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        while self.poll() is None:
            select.select([], [], [], 0.002)


def _make_workers(connection: socket.socket, directory: Path) -> NoReturn:
    ended: dict[int, int] = {}
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
        if not message:
            os._exit(0)
        task = json.loads(message)
        if "poll" in task:
            with contextlib.suppress(ChildProcessError):
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    ended[found[0]] = os.waitstatus_to_exitcode(found[1])
            connection.send(json.dumps({"exit": ended.get(task["poll"])}).encode())
            continue
        pid = os.fork()
        if not pid:
            connection.close()
            os.setsid()
            os.environ.update(task["environ"])
            (directory / "world" / "pids" / f"worker-{os.getpid()}").touch()
            try:
                alma.pulumi.automation.__main__.main(descriptors[0])
            finally:
                os._exit(1)
        os.close(descriptors[0])
        connection.send(json.dumps({"pid": pid}).encode())


if __name__ == "__main__":
    sys.exit(main())
