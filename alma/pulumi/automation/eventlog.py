"""The engine's events while the CLI runs, by way of a file without a name. Imports no pulumi.

The CLI writes each event as a line of JSON to the file that `--event-log` names (or to a gRPC
server, which costs an import of gRPC). Diagnostics for debugging hold secrets in plaintext, so
nobody else may open the file: it has no name but the descriptor's that the CLI inherits. A pipe
would do as well until its reader dies: the CLI, which also opens it for reading, would hang.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

_LOOK: Final = 0.02
"""Seconds between two looks at what has been written: an operation's progress is for people."""
_CHUNK: Final = 1 << 20


class EventLog:
    """Calls `observe` with each event, on a thread of its own, until the `with` ends.

    At its end all that was written has been observed. `complete` then says whether this was
    everything up to the engine's own end: no event is missing, and none is cut off.
    """

    def __init__(self, observe: Callable[[Mapping[str, Any]], None]) -> None:
        # In TMPDIR, as the Automation API's: the disk of the logs may be the one that is full.
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._observe = observe
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._rest = bytearray()
        self._next = 0
        self._whole = True
        self._last = False

    @property
    def descriptor(self) -> int:
        """What the CLI has to inherit."""
        return self._file.fileno()

    @property
    def path(self) -> str:
        """The file's only name, which holds for whoever has inherited the descriptor."""
        return f"/dev/fd/{self.descriptor}"

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, from the first event to the last."""
        return self._whole and self._last and not self._rest

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._file.close()

    def _follow(self) -> None:
        offset = 0
        while True:
            ended = self._ended.wait(_LOOK)  # Asked before the look: nothing comes after it.
            while chunk := self._read(offset):
                offset += len(chunk)
                self._take(chunk)
            if ended:
                return

    def _read(self, offset: int) -> bytes:
        # The CLI opens the file anew, with an offset of its own.
        self._file.seek(offset)
        return self._file.read(_CHUNK)

    def _take(self, chunk: bytes) -> None:
        self._rest += chunk
        if b"\n" not in chunk:
            return
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            try:
                event = json.loads(line)
                self._whole &= event.get("sequence", self._next) == self._next
                self._last = "cancelEvent" in event
                self._observe(event)
            except (ValueError, LookupError, TypeError, AttributeError):
                self._whole = False
            self._next += 1
