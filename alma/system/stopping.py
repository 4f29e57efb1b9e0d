"""Asking one process, and no other, to stop: proven to be the one before it is signalled."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from alma.core.events import Process
from alma.system.processes import GONE, HOST, PLACE, find

ASKED: Final = signal.SIGTERM
"""Not SIGINT: under nohup, and in a job in the background, that one is ignored."""


class UnprovenError(Exception):
    """The process was not signalled; the message says why, and follows its pid in a sentence."""


def ask_to_stop(process: Process) -> None:
    """Send it one SIGTERM. Raises UnprovenError where it is not certain whose that would be.

    It must be of this boot and this pid namespace, have the start time that was noted, belong to
    this user, and catch the signal: a host that leaves it to the system would be killed.
    """
    if process.host != PLACE:
        here = process.machine == HOST
        where = "in another container, or before the machine's last start" if here else "not here"
        raise UnprovenError(f"is one on {process.machine}, {where}")
    try:
        handle = os.pidfd_open(process.pid) if sys.platform == "linux" else None
    except OSError:  # gone, which is found out below, or a kernel that has no such thing
        handle = None
    try:
        # From here on the handle means this one process, whoever is given its pid later.
        found = find(process)
        if found is None:
            raise UnprovenError("is not the process any more that took the lease")
        _require_mine(found)
        if not _catches(found.pid):
            raise UnprovenError(f"does not catch {ASKED.name}: it would end at once")
        try:
            if handle is not None and sys.platform == "linux":
                signal.pidfd_send_signal(handle, ASKED)
            else:
                found.send_signal(ASKED)
        except (OSError, psutil.Error) as error:
            raise UnprovenError("cannot be signalled by you, or has just ended") from error
    finally:
        if handle is not None:
            os.close(handle)


def _require_mine(process: psutil.Process) -> None:
    with suppress(*GONE):
        uids = process.uids()
        if uids.real == os.getuid() == uids.effective:
            return
        raise UnprovenError(f"belongs to another user ({process.username()})")
    raise UnprovenError("cannot be looked at by you")


def _catches(pid: int) -> bool:
    """Whether the process has a handler of its own; where that cannot be seen, it is assumed."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (ASKED - 1) & 1)
    return True
