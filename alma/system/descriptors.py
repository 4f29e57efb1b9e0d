"""Standard descriptors that whoever started this process has closed."""

from __future__ import annotations

import errno
import os


def open_standard() -> None:
    """Have 0, 1 and 2 lead nowhere rather than to the next file that is opened.

    Otherwise that is the journal, or a pipe to a worker, and what a child prints goes into it.
    Called before anything else is opened: the lowest free descriptor is the one that is given.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(nowhere, True)  # noqa: FBT003 - as standard descriptors are


def are_used_up(error: BaseException | None) -> bool:
    """Whether it says that this process, or this machine, has no file descriptor left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        error = error.__cause__
    return False
