"""The runner's end of one worker process. Imports no pulumi."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from alma.core.events import Process
from alma.pulumi import messages as frames
from alma.pulumi.prewarm import WorkerProcess, take


class WorkerClient:
    """A worker process and the connection to it: the one that was started ahead, or a new one.

    `served` counts its operations. What it says before it serves goes to a file without a name.
    """

    def __init__(self, environ: Mapping[str, str], *, programs: bool) -> None:
        # One that waits has this process's environment; each task brings its own as well.
        waits = take() if environ is os.environ else None
        spawned = waits or WorkerProcess(environ, programs=programs)
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

    async def send(self, *frame: Any) -> None:
        """Send a frame; a worker that is gone is noticed by `receive`."""
        _, writer = await self._connect()
        try:
            writer.write(frames.encode(frame))
            await writer.drain()
        except ConnectionError:
            return

    async def receive(self) -> tuple[Any, ...]:
        """The next frame; `EOFError` when the worker is gone."""
        reader, _ = await self._connect()
        try:
            (length,) = frames.LENGTH.unpack(await reader.readexactly(frames.LENGTH.size))
            return frames.decode(await reader.readexactly(length))
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
