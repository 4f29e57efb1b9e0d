"""The worker: `python -m alma.pulumi.automation FD`, where programs run and CLIs are started.

A plain subprocess rather than multiprocessing, which would run a user's script without a
`__main__` guard a second time. It serves one operation at a time over the socket FD, in a
session of its own. When the runner dies the socket ends, and the worker ends at once: the CLI it
started goes on alone, drains and unlocks.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from alma.core.events import Failure
from alma.core.redaction import Redactor
from alma.pulumi.messages import Interrupt, Known, Message, Ready, Report, Task, encode, receive
from alma.system.environment import SAFE_PATH
from alma.system.files import open_log
from alma.system.limits import dump_no_core
from alma.system.processes import identify


def main(descriptor: int) -> None:
    """Serve until the other end of the socket is closed; never returns."""
    dump_no_core()
    # What a program starts must not speak to the runner in this one's place.
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the standard library's signature
    connection = socket.socket(fileno=descriptor)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    outbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    running = Running()
    _start(_listen, connection, tasks, running)
    _start(_speak, connection, outbox)

    def tell(message: Message) -> None:
        outbox.put(encode(message))

    tell(Ready(identify(os.getpid())))
    # Imports, while the runner still reads the journal and the state. What they make stays for
    # good: looking for garbage in it would be a tenth of their time.
    gc.disable()
    from alma.pulumi.automation import operation
    from alma.system.scratch import forget

    running.leave = forget

    gc.freeze()
    gc.enable()
    while True:
        task = tasks.get()
        with _printing_to(f"{task.log_dir}/program.log", task):
            report = _serve(operation.perform, task, tell, running)
        outbox.put(report)


class Running:
    """What can be interrupted now, from the thread that listens; remembers that it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self._asked = False
        self.known = threading.Semaphore(0)
        """Of each CLI that was started, once it is in the journal."""
        self.leave: Callable[[], None] = lambda: None
        """Called when the worker ends at once, whatever runs."""

    def begin(self, interrupt: Callable[[], None]) -> None:
        """An operation begins; if it was asked to stop before, it is told so at once."""
        with self._lock:
            self._interrupt = interrupt
            if self._asked:
                interrupt()

    def end(self) -> None:
        """No operation runs any more."""
        with self._lock:
            self._interrupt, self._asked = None, False

    def interrupt(self) -> None:
        """Somebody asked the operation that runs, or the next one, to stop."""
        with self._lock:
            self._asked = True
            if self._interrupt is not None:
                self._interrupt()


def _serve(
    perform: Callable[..., Report], task: Task, tell: Callable[..., None], running: Running
) -> bytes:
    try:
        os.chdir(task.cwd)
        sys.path[:] = list(task.search)
        os.environ.clear()
        os.environ.update(task.environment)
        # It is for the CLI and its plugins. What the program starts finds what is beside it.
        os.environ.pop(SAFE_PATH, None)
        return encode(perform(task, tell, running))
    except BaseException as error:  # noqa: BLE001 - whatever it was, the runner must hear of it
        traceback.print_exc()
        failure = Failure(
            kind="unknown",
            message=f"alma's worker failed: {type(error).__name__}: {error}",
            hint="This is a fault of alma; the traceback is in program.log beside the log.",
        )
        return encode(Report(failure=failure, changes={}, resources=(), spent=True))
    finally:
        running.end()


def _listen(connection: socket.socket, tasks: queue.SimpleQueue[Task], running: Running) -> None:
    try:
        while True:
            message = receive(connection)
            if isinstance(message, Interrupt):
                running.interrupt()
            elif isinstance(message, Known):
                running.known.release()
            elif isinstance(message, Task):
                tasks.put(message)
    finally:
        # The runner is gone, or speaks nonsense. Nothing is waited for: a user's threads may hang,
        # and the CLI must be left alone.
        running.leave()
        os._exit(0)


def _speak(connection: socket.socket, outbox: queue.SimpleQueue[bytes]) -> None:
    while True:
        body = outbox.get()
        with contextlib.suppress(OSError):  # `_listen` sees the end of the connection.
            connection.sendall(body)


@contextlib.contextmanager
def _printing_to(path: str, task: Task) -> Iterator[None]:
    """Send what the program and its children print to the operation's log directory.

    What Python prints is redacted on its way, so that it is clean even if nobody lives to clean
    it; what comes through the file descriptor is cleaned by the runner afterwards.
    """
    redact = Redactor()
    redact.learn(task.secrets)
    kept = [os.dup(1), os.dup(2)]
    try:
        with open_log(Path(path)) as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        with (
            contextlib.redirect_stdout(_Redacting(sys.stdout, redact)),
            contextlib.redirect_stderr(_Redacting(sys.stderr, redact)),
        ):
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in kept:
            os.close(descriptor)


class _Redacting(io.TextIOBase):
    """A text stream before another one, without known secrets in what is written at once."""

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._stream = stream
        self._redact = redact

    def write(self, text: str) -> int:
        self._stream.write(self._redact(text))
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def _start(function: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


if __name__ == "__main__":
    # Under its own name, so that classes and state exist once, and `__main__` is not asked for
    # what a user's script calls `__main__`.
    from alma.pulumi.automation.__main__ import main as serve

    serve(int(sys.argv[1]))
