"""A worker process started ahead of what runs the saga, so that the imports of both overlap.

What checks a passphrase of the user's own begins here as well.

Imports no pulumi, nor anything else that takes long: it comes before what does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from alma.core.search_path import python_first
from alma.pulumi.engine import StackRef
from alma.system.environment import PYTHON, without_flags

WORKER: Final = "alma.pulumi.automation"
"""The module that a worker is started as."""


class WorkerProcess:
    """A worker process, the runner's end of its connection, and what it says outside of tasks.

    Starting it takes milliseconds; it then imports, a quarter of a second. It ends as soon as the
    connection does.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self.socket = ours
        self.words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        search = python_first([entry or str(Path.cwd()) for entry in sys.path], environ)
        with theirs:
            self.popen = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-u", "-m", WORKER),
                    str(theirs.fileno()),
                ],
                env={**without_flags(environ, PYTHON), "PYTHONPATH": os.pathsep.join(search)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.words,
                stderr=self.words,
                # Ctrl-C goes to the terminal's group: it is the runner that decides what it means.
                start_new_session=True,
            )

    def discard(self) -> None:
        """End it: it was given nothing to do."""
        self.popen.kill()
        self.popen.wait()
        self.socket.close()
        self.words.close()


_waiting: list[WorkerProcess] = []
"""At most one: whoever runs first in this process takes it."""


@contextmanager
def prewarm(stacks: Sequence[StackRef]) -> Iterator[None]:
    """Start a worker now, for the first engine; it is ended if none took it."""
    if not _waiting:
        _waiting.append(WorkerProcess(os.environ))
        # Loaded once the worker has begun to load, too.
        from alma.pulumi import passphrase

        passphrase.prewarm_hash(stacks)
    try:
        yield
    finally:
        if (left := take_prewarmed()) is not None:
            left.discard()


def take_prewarmed() -> WorkerProcess | None:
    """The worker that waits, if there is one: it is the caller's from now on."""
    try:
        return _waiting.pop()
    except IndexError:
        return None
