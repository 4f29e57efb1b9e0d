"""The runner's end of one worker: messages, the interrupt, the deadline, and sudden deaths.

Imports no pulumi.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from typing import Final

from alma.core.events import Failure, Process
from alma.core.operation import Operation
from alma.pulumi import messages
from alma.pulumi.family import family_of, is_cli
from alma.pulumi.messages import Interrupt, Known, Message, Progress, Ready, Report, Started, Task
from alma.pulumi.prewarm import WorkerProcess, take_prewarmed
from alma.system import processes


class WorkerClient:
    """A worker process and the connection to it: the one that was started ahead, or a new one.

    `served` counts its operations. What it says before it serves goes to a file without a name.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        # One that waits has this process's environment; each task brings its own as well.
        waits = take_prewarmed() if environ is os.environ else None
        spawned = waits or WorkerProcess(environ)
        self.served = 0
        self.process: Process | None = None
        self._socket = spawned.socket
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._words = spawned.words
        self._popen = spawned.popen

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._popen.pid

    async def send(self, message: Message) -> None:
        """Send a message; a worker that is gone is noticed by `receive`."""
        _, writer = await self._connect()
        try:
            writer.write(messages.encode(message))
            await writer.drain()
        except ConnectionError:
            return

    async def receive(self) -> Message:
        """The next message; `EOFError` when the worker is gone."""
        reader, _ = await self._connect()
        try:
            size = await reader.readexactly(messages.LENGTH.size)
            return messages.decode(await reader.readexactly(*messages.LENGTH.unpack(size)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError from error

    def last_words(self) -> str:
        """What a worker that died said outside of operations, at most its last 2,000 bytes."""
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - 2000))
        return self._words.read().decode("utf-8", "replace").strip()

    def wait(self) -> int | None:
        """Reap the process if it has ended: its exit code, negative for a signal."""
        return self._popen.poll()

    async def close(self, *, seconds: float = 5.0) -> None:
        """Close the connection, at which the worker ends at once, and reap it."""
        if self._streams is not None:
            self._streams[1].close()
        else:
            self._socket.close()
        deadline = asyncio.get_running_loop().time() + seconds
        while self._popen.poll() is None:
            if asyncio.get_running_loop().time() >= deadline:
                self._popen.kill()  # Stopped, or stuck where Python cannot switch threads.
                self._popen.wait()
                break
            await asyncio.sleep(0.001)  # It is gone in less than five of these.
        self._words.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(sock=self._socket)
        return self._streams


_LAST_REPORT: Final = 5.0
"""Seconds for a worker to report after its CLI was killed; then it is ended as well."""


class Supervisor:
    """Sends a task to a worker and follows it to its end, whatever that is."""

    def __init__(self, client: WorkerClient, task: Task, operation: Operation) -> None:
        self.client = client
        self.task = task
        self.operation = operation
        self.cli: Process | None = None
        self.worker_died = False
        self._signalled = ""
        self._deadline = None if operation.timeout is None else time.monotonic() + operation.timeout
        self._timed_out = False
        self._killed: list[str] = []

    async def run(self) -> Report:
        """The worker's report, or the one that is made of its silence.

        When it is cancelled, nobody is signalled: whoever cancels closes the worker, and the CLI
        is left to drain.
        """
        if self.operation.interrupt.is_set():
            return self._failed("cancelled", "The operation was interrupted before it began.")
        await self.client.send(self.task)
        reading = asyncio.create_task(self.client.receive())
        interrupted = asyncio.create_task(self.operation.interrupt.wait())
        try:
            while True:
                # Until it was passed on: an interrupt that comes together with a message would else
                # wait for the next one.
                await asyncio.wait(
                    {reading} if self._signalled else {reading, interrupted},
                    timeout=self._remaining(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if reading.done():
                    try:
                        message = reading.result()
                    except EOFError:
                        return await self._worker_died()
                    if isinstance(message, Report):
                        return self._final_report(message)
                    await self._handle(message)
                    reading = asyncio.create_task(self.client.receive())
                elif not await self._signal_or_kill():
                    return await self._last_report(reading)
        finally:
            for task in (reading, interrupted):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, EOFError):
                    await task

    async def _handle(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.client.process = message.process
            self.operation.on_process("worker", message.process)
        elif isinstance(message, Started):
            self.cli = message.process
            self.operation.on_process("cli", message.process)
            await self.client.send(Known())
        elif isinstance(message, Progress):
            self.operation.on_resource(message.urn, message.op, message.done)

    async def _signal_or_kill(self) -> bool:
        """An interrupt or a deadline: signal once, later kill. False when all was killed."""
        if self.operation.interrupt.is_set() and not self._signalled:
            await self._signal("interrupt")
        if self._remaining() == 0.0:
            if self._timed_out:
                self.operation.on_signal("SIGKILL", "deadline")
                family = family_of(self.task.operation, self.cli)
                self._killed = processes.kill(family)
                return False
            if not self._signalled:
                await self._signal("deadline")
            self._timed_out = True
            self._deadline = time.monotonic() + self.operation.grace
        return True

    async def _signal(self, why: str) -> None:
        # Told first, as everything is: a second signal would stop the CLI without draining.
        self.operation.on_signal("SIGINT", why)
        self._signalled = why
        await self.client.send(Interrupt())
        if self.worker_died and self.cli is not None:
            processes.interrupt(self.cli)

    def _remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    async def _last_report(self, reading: asyncio.Task[Message]) -> Report:
        """After the kill: what the worker still says, for what had been done until then."""
        until = time.monotonic() + _LAST_REPORT
        while (left := until - time.monotonic()) > 0:
            await asyncio.wait({reading}, timeout=left)
            if not reading.done():
                break
            try:
                message = reading.result()
            except EOFError:
                break
            if isinstance(message, Report):
                return self._final_report(message)
            reading = asyncio.create_task(self.client.receive())
        reading.cancel()
        return self._final_report(Report(failure=None, changes={}, resources=(), spent=True))

    def _final_report(self, report: Report) -> Report:
        if not self._timed_out or (report.failure is None and not self._killed):
            return report  # It may well have succeeded between the deadline and the signal.
        how = "killed with its plugins" if self._killed else "interrupted"
        detail = report.failure
        failure = Failure(
            kind="timeout",
            message=f"The operation took longer than {self.operation.timeout:g} seconds "
            f"and was {how}.",
            urn=detail.urn if detail else "",
            hint="Give the step a longer timeout, or see in the log what it waited for.",
            log=f"{self.task.log_dir}/pulumi.log",
        )
        return Report(
            failure=failure,
            changes=report.changes,
            resources=report.resources,
            spent=True,
            unsettled=bool(self._killed),
        )

    async def _worker_died(self) -> Report:
        """The worker died: its CLI drains by itself, and is waited for before anything else."""
        self.worker_died = True
        family = family_of(self.task.operation, self.cli)
        known = self.cli.pid if self.cli is not None else 0
        clis = [process for process in family if process.pid == known or is_cli(process)]
        while not await processes.wait_gone(clis, 0.1):
            if (self.operation.interrupt.is_set() or self._remaining() == 0.0) and (
                not await self._signal_or_kill()
            ):
                break
        if self._timed_out:
            return self._final_report(Report(failure=None, changes={}, resources=(), spent=True))
        code = self.client.wait()
        ended = f"was killed by signal {-code}" if code and code < 0 else f"ended with code {code}"
        return self._failed(
            "worker",
            f"The worker process (pid {self.client.pid}) {ended} during the operation.",
            hint=self.client.last_words()[-300:]
            or "The CLI finished alone what it had begun; the state is what it recorded.",
        )

    def _failed(self, kind: str, message: str, *, hint: str = "") -> Report:
        failure = Failure(
            kind=kind, message=message, hint=hint, log=f"{self.task.log_dir}/pulumi.log"
        )
        return Report(
            failure=failure, changes={}, resources=(), spent=True, unsettled=self.worker_died
        )
