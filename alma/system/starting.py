"""Programs that begin only once somebody has been told that they are there.

Between the fork and the exec a child has the arguments and the environment of who forked it: if
that is killed then, the child is found by nobody, and goes on to be the program. So in its place a
process is started that becomes the program when it is told to, and ends without having been it if
whoever started it does so before.
"""

from __future__ import annotations

import errno
import marshal
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

_BECOME: Final = """\
import _signal, marshal, posix, sys
told, failed, parent = map(int, sys.argv[1:])
def look(*_):
    if posix.getppid() != parent:
        posix._exit(125)
def read(size):
    said = b""
    while len(said) < size:
        part = posix.read(told, size - len(said))
        if not part:
            posix._exit(125)
        said += part
    return said
for number in (_signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ):
    if number != _signal.SIGINT or _signal.getsignal(number) != _signal.SIG_IGN:
        _signal.signal(number, _signal.SIG_DFL)
alarm = _signal.signal(_signal.SIGALRM, look)
_signal.setitimer(_signal.ITIMER_REAL, 1, 1)
posix.set_inheritable(told, False)
posix.set_inheritable(failed, False)
paths, words, environ = marshal.loads(read(int.from_bytes(read(8), "big")))
_signal.setitimer(_signal.ITIMER_REAL, 0)
_signal.signal(_signal.SIGALRM, alarm)
posix.write(failed, b"0")
last = first = 0
for path in paths:
    try:
        posix.execve(path, words, environ)
    except OSError as error:
        last = error.errno
        first = first or (0 if last in (2, 20) else last)
posix.write(failed, b"%d" % (first or last))
posix._exit(125)
"""
"""What the process is until then. Of modules that are built in alone, which halves its start; the
signals are as `subprocess` leaves them, and a first error but "not here" (2, 20) is told, as there.
A pipe that ends says that its starter is gone; one that was forked from that holds it open, and
then another parent says so, at which it looks each second.
"""


def is_starting(words: Sequence[str]) -> bool:
    """Whether a process with these arguments is one that has not become its program yet."""
    return _BECOME in words[:4]


class Starting:
    """A process that is to become a program. Exactly one of `begin` and `forget` is called.

    `options` are `subprocess.Popen`'s: `cwd`, `stdin`, `umask`, ... Raises what that raises.
    """

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], **options: Any) -> None:
        self._words = words
        self._message = _message(words, environ)
        with ExitStack() as theirs, ExitStack() as ours:
            told, self._tell = _pipe(theirs, ours)
            self._failed, failed = _pipe(ours, theirs)
            numbers = map(str, (told, failed, os.getpid()))
            self._popen: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-IS", "-c", _BECOME, *numbers],
                pass_fds=(told, failed),
                **options,
            )
            ours.pop_all()
        self.pid = self._popen.pid

    def begin(self) -> subprocess.Popen[bytes]:
        """Have it become the program. Raises OSError where that cannot be started."""
        try:
            with suppress(BrokenPipeError), os.fdopen(self._tell, "wb", 0) as pipe:
                view = memoryview(self._message)
                while view:
                    view = view[pipe.write(view) :]
        finally:
            with os.fdopen(self._failed, "rb") as answer:
                said = answer.read()
        if said == b"0":
            return self._popen
        if (code := self._popen.wait()) < 0 and not said:
            return self._popen  # killed, as it could have been a moment later
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        if said:
            raise OSError(int(said), os.strerror(int(said)), self._words[0])
        # Its own end is not to be taken for the program's.
        raise ChildProcessError(
            errno.ECHILD, f"{sys.executable}, which was to become it, ended with {code}"
        )

    def forget(self) -> None:
        """Have it end without having been the program."""
        os.close(self._tell)
        os.close(self._failed)
        self._popen.kill()  # who was forked meanwhile, and is no program yet, has the pipe as well
        self._popen.communicate()


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Both ends, each closed with one of these."""
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    return ends


def _message(words: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """As bytes: its own encoding may be another. In front is the length: a part begins nothing."""
    name = words[0]
    folders = os.get_exec_path(environ)
    found = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in folders]
    paths = [os.fsencode(path) for path in found]
    encoded = {os.fsencode(key): os.fsencode(value) for key, value in environ.items()}
    texts = [*map(os.fsencode, words), *encoded, *encoded.values()]
    if any(b"\0" in text for text in texts):
        raise ValueError("embedded null byte")
    if bad := next((key for key in encoded if not key or b"=" in key), None):
        raise ValueError(f"illegal environment variable name: {os.fsdecode(bad)!r}")
    body = marshal.dumps((paths, [os.fsencode(word) for word in words], encoded))
    return len(body).to_bytes(8, "big") + body
