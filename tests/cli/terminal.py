"""A process on a terminal (a pty), and what can be seen there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

# Makes the terminal the controlling one of its session, so that a typed Ctrl-C is a signal.
LEADER = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`text` is all that was written so far."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], columns: int, rows: int
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, *command],
            env=dict(environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, condition: Callable[[str], bool], seconds: float = 300) -> str:
        """Read on until the text is as wanted; AssertionError when it never is."""
        deadline = time.monotonic() + seconds
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text
            if not self._read(deadline):
                assert condition(self.text), self.text
                break
        return self.text

    def end(self, seconds: float = 300) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            assert time.monotonic() < deadline, self.text
        return self.process.wait(seconds)

    def lines(self) -> list[str]:
        """Every stretch of text that was written on one line, without codes."""
        return [line for line in re.split(r"[\r\n]+", CODES.sub("\r", self.text)) if line]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)
