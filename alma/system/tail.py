"""A log that is read while it is written, and that may be put in its own place, cleaned."""

from __future__ import annotations

import os
from pathlib import Path

from alma.system.files import open_own


class Tail:
    """Gives of one file what was not given yet.

    A cleaned log is another file of the same name, with other lengths and as many lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = self._offset = self._lines = 0

    def read(self, *, last: bool = False) -> list[str]:
        """The whole lines that are new; the `last` time what has no end as well."""
        try:
            with open_own(self.path) as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    for _ in range(self._lines):
                        file.readline()
                    self._inode, self._offset = inode, file.tell()
                file.seek(self._offset)
                said = file.read()
        except OSError:
            return []
        whole = said[: said.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._lines += whole.count(b"\n")
        lines = whole.split(b"\n")[:-1]
        if last and (rest := said[len(whole) :]):
            self._offset += len(rest)
            lines.append(rest)
        return [line.decode("utf-8", "replace") for line in lines]


def last_bytes(path: Path, within: int = 64 * 1024) -> str:
    """The end of a file as text; empty if it is not there."""
    try:
        with open_own(path) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - within, 0))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def last_lines(text: str, most: int) -> list[str]:
    """The last lines of a text that say something."""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-most:]
