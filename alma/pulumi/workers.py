"""The pool of worker processes: started when needed, reused, recycled. Imports no pulumi."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from alma.core.operation import Operation
from alma.pulumi.messages import Report, Task
from alma.pulumi.supervisor import Supervisor, WorkerClient

RECYCLE_AFTER: Final = 32
"""Operations of one worker: what the SDK and users' modules gather in a process stays small."""


class Workers:
    """At most `limit` workers, one operation at a time in each; a failure ends its worker.

    A failed operation may have left threads of the user's at work, and the SDK's own in any
    state: a new process costs half a second, the next failure's cause may be the last one's.
    """

    def __init__(self, limit: int, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._slots = asyncio.Semaphore(max(1, limit))
        self._idle: list[WorkerClient] = []
        self._busy: set[WorkerClient] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    def warm(self) -> None:
        """Start a worker ahead of its first operation, unless one is there."""
        if not self._closed and not self._idle and not self._busy:
            self._idle.append(WorkerClient(self._environ))

    async def serve(self, task: Task, operation: Operation) -> Report:
        """Wait for a free worker, and have it do the task."""
        async with self._slots:
            client = self._take()
            good = reported = False
            try:
                if client.process is not None:
                    operation.on_process("worker", client.process)
                report = await Supervisor(client, task, operation).run()
                reported = True
                client.served += 1
                good = not report.spent and client.served < RECYCLE_AFTER
                return report
            finally:
                # Cancelled, failed or old: it is closed, at which it ends, and its CLI drains.
                self._release(client, good=good)
                if reported and not good:
                    self.warm()

    async def close(self) -> None:
        """End them all; whoever still has a CLI leaves it to drain."""
        self._closed = True
        clients = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        await asyncio.gather(*(client.close() for client in clients), *self._leaving)

    def _take(self) -> WorkerClient:
        while self._idle:
            client = self._idle.pop()
            self._busy.add(client)
            if client.wait() is None:
                return client
            self._release(client, good=False)  # It died while nobody needed it.
        client = WorkerClient(self._environ)
        self._busy.add(client)
        return client

    def _release(self, client: WorkerClient, *, good: bool) -> None:
        if client not in self._busy:
            return  # All was closed meanwhile, and the worker with it.
        self._busy.discard(client)
        if good:
            self._idle.append(client)
            return
        leaving = asyncio.get_running_loop().create_task(client.close())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
