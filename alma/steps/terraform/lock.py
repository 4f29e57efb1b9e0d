"""A Terraform state lock that is in the way: whether nobody can hold it any more."""

from __future__ import annotations

import getpass
from typing import Final

import psutil

from alma.steps.terraform.output import Lock
from alma.system import processes as live
from alma.system.programs import named

_CLOCK: Final = 2.0
"""Seconds by which a start time may be off (see `processes`), and the lock's own second."""


def is_proven_dead(lock: Lock, before: float) -> bool:
    """Whether nobody can hold it: made by this user on this host before any Terraform that lives.

    A lock names no pid, but its holder must be older than the lock. One that is not older than
    `before` (seconds, epoch) is no other's: the `http` backend shows in place of the holder's
    lock the one that was asked for.
    """
    if lock.created is None or lock.who != f"{getpass.getuser()}@{live.HOST}":
        return False
    if lock.created.timestamp() > before - _CLOCK:
        return False
    is_terraform = named(("terraform", "tofu"))
    for process in psutil.process_iter():
        try:
            older = process.create_time() <= lock.created.timestamp() + _CLOCK
            if older and is_terraform(process) and process.status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.Error:
            continue
    return True
