"""A foreign program that works for an operation, made to survive its caller.

It gets a session of its own, its output goes to a file, and its pid is journaled before it begins:
if alma dies, it finishes what it does, and `settle` waits for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import psutil

from alma.core.events import Failure, Process
from alma.core.operation import Operation
from alma.core.run import OpenOperation
from alma.errors import RefusedError
from alma.system import processes as live
from alma.system.files import open_log
from alma.system.starting import Starting
from alma.system.trace_context import traceparent

_PATIENCE: Final = 3600.0
"""Seconds that a program gets to end by itself after its caller died, as a Pulumi CLI does."""
_DIES: Final = 10.0
"""Seconds for what was killed to be gone."""
_SLOWEST: Final = 0.05
"""Seconds between two looks at a program that runs."""

PRIVATE: Final = 0o077
"""The umask of programs that write state: it has secrets in it, and they would let all read it."""

_left: list[subprocess.Popen[bytes]] = []
"""Programs that were left to end by themselves: nobody in this process waits for them."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to start. `stdin` is read from a file without a name; None for an empty one.

    `output` is made 0600 and appended to. With `private` what it makes is for this user alone.
    With `whole` it is told to end as a terminal tells it, with all of its group, and has ended
    when no process of its session lives: a shell may end before what it waits for.
    """

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    output: Path
    stdin: bytes | None = None
    private: bool = False
    whole: bool = False


class ProgramRunner:
    """The programs of one operation, one after the other, under its one deadline.

    `why` is "interrupt" or "deadline" once one was told to end; from then on none is started.
    """

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.why: Literal["", "interrupt", "deadline"] = ""
        self.killed = False
        self.process: Process | None = None
        """The last one that was started."""
        self.running = False
        """Also when it was left to end by itself."""
        self._ends = None if operation.timeout is None else time.monotonic() + operation.timeout

    async def run(self, command: Command) -> int | None:
        """Its exit code; None when it was not started, because the operation is to end."""
        self._look()
        if self.why:
            return None
        popen, process = _begin(_start(command, self.operation.id), self.operation)
        self.process, self.running = process, True
        try:
            code = await self._wait(popen, process, whole=command.whole)
            if self.why and command.whole:
                await self._end_rest(process)
        except BaseException:
            _left.append(popen)  # It ends by itself, and is settled later.
            raise
        self.running = False
        return code

    def failure(self) -> Failure | None:
        """Why the operation was told to end, when it was."""
        if self.why == "interrupt":
            return Failure(kind="cancelled", message="it was interrupted")
        if self.why == "deadline":
            end = f", nor {self.operation.grace:g} s after SIGINT, and was killed"
            words = f"it did not end within {self.operation.timeout:g} s"
            return Failure(kind="timeout", message=words + (end if self.killed else ""))
        return None

    async def _wait(self, popen: subprocess.Popen[bytes], process: Process, *, whole: bool) -> int:
        delay, told = 0.005, 0.0
        while (code := popen.poll()) is None:
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, _SLOWEST)
            before = self.why
            self._look()
            if self.why and not before:
                told = time.monotonic()
                if live.interrupt(process, whole=whole):
                    self.operation.on_signal("SIGINT", self.why)
            if self.why == "deadline" and time.monotonic() - told > self.operation.grace:
                await self._kill(process)
        return code

    def _look(self) -> None:
        if self._ends is not None and time.monotonic() >= self._ends:
            self.why = "deadline"
        elif self.operation.interrupt.is_set() and not self.why:
            self.why = "interrupt"

    async def _end_rest(self, process: Process) -> None:
        """What was told to end as well, and has not when its head has: first waited for."""
        rest = live.marked(self.operation.id, live.of_session({process.pid}))
        if not await live.wait_gone(rest, self.operation.grace):
            await self._kill_all(live.marked(self.operation.id, live.of_session({process.pid})))

    async def _kill(self, process: Process) -> None:
        head = live.find(process)
        victims: list[psutil.Process] = []
        if head is not None:
            with suppress(psutil.Error):
                victims = head.children(recursive=True)
            victims.append(head)
        await self._kill_all(victims)

    async def _kill_all(self, victims: list[psutil.Process]) -> None:
        if not self.killed:
            self.killed = True
            self.operation.on_signal("SIGKILL", self.why)
        live.kill(victims)
        await live.wait_gone(victims, _DIES)


def _begin(starting: Starting, operation: Operation) -> tuple[subprocess.Popen[bytes], Process]:
    """Have it begin, once it is journaled."""
    try:
        process = live.identify(starting.pid)
        operation.on_process("cli", process)
    except BaseException:
        starting.forget()  # Nobody would know of it.
        raise
    return starting.begin(), process


def _start(command: Command, operation: str) -> Starting:
    with open_log(command.output) as output, _unnamed(command.stdin) as stdin:
        return Starting(
            command.argv,
            _marked(command.environment, operation),
            cwd=command.cwd,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE if command.private else -1,
        )


def _marked(environment: Mapping[str, str], operation: str) -> dict[str, str]:
    return {**environment, live.MARKER: operation, **traceparent(operation, environment)}


def _unnamed(content: bytes | None) -> IO[bytes]:
    """A file without a name, to be read: unlike a pipe it holds any length, and nobody waits."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(content or b"")
    file.seek(0)
    return file


async def read(
    argv: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    text: bytes | None = None,
    operation: Operation | None = None,
) -> tuple[int, str, str]:
    """Run what only looks, with `text` on stdin: exit code, stdout and stderr, in memory.

    What changes something in a moment works for an `operation`, and is journaled as its own.
    Whoever cancels it ends it, and what it has started, which may have its output open.
    """
    process = _start_quiet(argv, cwd, environment, text, operation)
    talk = asyncio.ensure_future(asyncio.to_thread(process.communicate))
    try:
        out, err = await asyncio.shield(talk)
    except asyncio.CancelledError:
        if not talk.done():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        await asyncio.wait({talk}, timeout=_DIES)
        raise
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def _start_quiet(
    argv: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    text: bytes | None,
    operation: Operation | None,
) -> subprocess.Popen[bytes]:
    """Not by asyncio: not each of its loops can set a umask."""
    with _unnamed(text) as stdin:
        options: dict[str, Any] = {
            "cwd": cwd,
            "stdin": stdin,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "start_new_session": True,
            "umask": PRIVATE,
        }
        if operation is None:
            return subprocess.Popen(list(argv), env=dict(environment), **options)
        starting = Starting(argv, _marked(environment, operation.id), **options)
        return _begin(starting, operation)[0]


async def wait_for(
    operation: OpenOperation, names: Sequence[str], *, whole: bool = False
) -> list[str]:
    """Wait for programs of these names that work for an operation in doubt; says for which.

    With `whole` also for all others of their sessions. Raises RefusedError for one that does not
    end.
    """
    heads = {process.pid for process in operation.processes} if whole else set()
    is_named, is_of_session = named(names), live.of_session(heads)
    found = {
        process.pid: process
        for process in live.marked(operation.id, lambda one: is_named(one) or is_of_session(one))
    }
    for journaled in operation.processes:
        process = live.find(journaled)
        if process is not None:
            found[process.pid] = process
    words = [live.describe(process) for process in found.values()]
    if not await live.wait_gone(list(found.values()), _PATIENCE):
        raise RefusedError(
            f"{', '.join(words)} still works for an operation of this run.",
            hint="Wait for it, or end it if it hangs, and resume.",
        )
    return words


def named(names: Sequence[str]) -> Callable[[psutil.Process], bool]:
    """Whether a process is a program of one of these names, itself or as a script."""

    def is_named(process: psutil.Process) -> bool:
        try:
            # A program that has only just begun has its name before its arguments.
            arguments = process.cmdline()[:3] or [process.name()]
        except psutil.Error:
            return False
        return any(Path(argument).name.startswith(tuple(names)) for argument in arguments)

    return is_named
