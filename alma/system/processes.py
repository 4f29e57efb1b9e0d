"""Processes known by pid and start time, and those that carry an operation's marker.

A pid alone proves nothing: it is reused. Plugins sit in process groups of their own, so a group
is not enough either; what finds them is the marker in the environment they inherited.
"""

from __future__ import annotations

import itertools
import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from msgspec import structs

from alma.core.events import Process
from alma.errors import DefinitionError, ToolError

HOST: Final = socket.gethostname()


def user_name() -> str:
    """Of the user that this process belongs to, whatever its environment says."""
    return _name_of(os.getuid())


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def other_users() -> list[str]:
    """Who else has processes here, by name or uid: people's accounts, not the system's own."""
    found = set()
    for process in psutil.process_iter():
        with suppress(*GONE):
            found.add(process.uids().real)
    others = sorted(
        uid for uid in found if uid >= _FIRST_PERSON and uid not in (_NOBODY, os.getuid())
    )
    return [_name_of(uid) for uid in others]


def _place() -> str:
    """This host, with what tells apart those of one name: the boot, and the pid namespace.

    Containers may share their host's name, or one of their own choosing; a pid of one means
    nothing, or another process, in the next.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().partition("-")[0]
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return HOST
    return f"{HOST}#{boot}-{namespace}"


PLACE: Final = _place()

MARKER: Final = "ALMA_OPERATION"
"""Environment variable of an operation's processes, by which they are found again."""

_SAME_START: Final = 2.0
"""Seconds. The start is derived from the boot time, which the kernel rounds and a clock that is
adjusted shifts; a pid is not given to another process as fast as that."""
_FIRST_PERSON: Final = 500 if sys.platform == "darwin" else 1000
_NOBODY: Final = 65_534
"""uids: below the first are the system's own accounts, and as the second some daemons run."""

GONE: Final = (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ProcessLookupError)
"""What looking at a process raises when it is not there any more, or is not ours to look at."""


def identify(pid: int) -> Process:
    """The process that has this pid now; `psutil.NoSuchProcess` when none has."""
    return Process(host=PLACE, pid=pid, started=psutil.Process(pid).create_time())


def is_here(process: Process) -> bool:
    """Whether its pid is one of ours to look at."""
    return is_place_here(process.host) and process.pid > 0


def is_place_here(host: str) -> bool:
    """Whether a process of this host (`Process.host`) is; older journals have the name alone."""
    return host in (PLACE, HOST)


EPHEMERAL: Final = "ALMA_HOST_IS_EPHEMERAL"
"""Environment variable by which a host says that it is gone when its runner is."""


def this_process() -> Process:
    """This process. Raises ToolError where not even that can be seen."""
    require_shown()
    said = os.environ.get(EPHEMERAL, "").strip().lower()
    if said not in ("", "0", "false", "1", "true"):
        raise DefinitionError(
            f"{EPHEMERAL} is {said!r}, which says neither yes nor no.",
            hint="Set it to 1 where this host is gone when its runner is, else leave it out.",
        )
    me = identify(os.getpid())
    return structs.replace(me, ephemeral=True) if said in ("1", "true") else me


def require_shown() -> None:
    """Raise ToolError where no process can be seen: everybody would be taken for dead."""
    try:
        psutil.Process()
    except psutil.Error as error:
        raise ToolError(
            f"The processes of this machine cannot be seen ({psutil.PROCFS_PATH}): nobody could "
            "tell who is at work.",
            hint="Mount it, `mount -t proc proc /proc`, or give the container one.",
        ) from error


def may_live(process: Process) -> bool:
    """False only when it is certain that the process is gone: of this host, and not there."""
    if not is_here(process):
        return True
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return abs(started - process.started) <= _SAME_START


def find(process: Process) -> psutil.Process | None:
    """The live process that is this one, or None: gone, a zombie, of another host."""
    if not is_here(process):
        return None
    try:
        candidate = psutil.Process(process.pid)
        if abs(candidate.create_time() - process.started) > _SAME_START:
            return None
        return None if candidate.status() == psutil.STATUS_ZOMBIE else candidate
    except GONE:
        return None


def marked(operation: str, wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """The live processes on this host that inherited this operation's marker and are wanted.

    What an operation's programs have started inherits it too, and may be the very resource: a
    server that is meant to stay.
    """
    found = []
    for candidate in psutil.process_iter():
        with suppress(*GONE):
            if candidate.pid == os.getpid() or candidate.status() == psutil.STATUS_ZOMBIE:
                continue
            if candidate.environ().get(MARKER) != operation:
                continue
            if wanted(candidate):
                found.append(candidate)
    return found


def of_session(heads: Collection[int]) -> Callable[[psutil.Process], bool]:
    """Whether a process is of a session that one of these leads, or led."""
    return lambda candidate: os.getsid(candidate.pid) in heads


def serves(pid: int, *addresses: str) -> bool:
    """Whether the process, or one that it has started, listens at each `host:port` or `unix:path`.

    Where it cannot be looked at, it is taken for granted.
    """
    wanted = {address.rpartition(":")[2] for address in addresses}
    kind = "all" if any(address.startswith("unix:") for address in addresses) else "tcp"
    try:
        head = psutil.Process(pid)
        for process in itertools.chain([head], _children(head)):
            for one in process.net_connections(kind):
                if one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                    # A port, or the path of a socket of this machine.
                    wanted.discard(str(getattr(one.laddr, "port", one.laddr)))
            if not wanted:
                return True
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    return False


def _children(head: psutil.Process) -> Iterator[psutil.Process]:
    yield from head.children(recursive=True)  # all processes are looked at for it: only if needed


def describe(process: psutil.Process) -> str:
    """`name (pid 123)`, for people."""
    try:
        return f"{process.name()} (pid {process.pid})"
    except GONE:
        return f"pid {process.pid}"


def interrupt(process: Process, *, whole: bool = False) -> bool:
    """One SIGINT to the process itself, or to the `whole` group it leads; False if it is gone."""
    found = find(process)
    if found is None:
        return False
    with suppress(*GONE):
        if whole and os.getpgid(found.pid) == found.pid:
            os.killpg(found.pid, signal.SIGINT)
        else:
            found.send_signal(signal.SIGINT)
        return True
    return False


def kill(victims: Iterable[psutil.Process]) -> list[str]:
    """SIGKILL each, with its process group when it leads one; returns what was killed."""
    killed = []
    for victim in victims:
        label = describe(victim)
        with suppress(*GONE):
            if os.getpgid(victim.pid) == victim.pid and victim.is_running():
                os.killpg(victim.pid, signal.SIGKILL)
            else:
                victim.kill()
            killed.append(label)
    return killed


async def wait_gone(processes: Sequence[psutil.Process], seconds: float | None) -> bool:
    """Wait until none of them lives; False when some still do after `seconds` (None: no limit)."""
    import asyncio  # not needed by a worker, which is to start quickly

    deadline = None if seconds is None else time.monotonic() + seconds
    delay = 0.01
    while any(_lives(process) for process in processes):
        if deadline is not None and time.monotonic() >= deadline:
            return False
        await asyncio.sleep(delay)
        delay = min(delay * 1.5, 0.2)
    return True


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except GONE:
        return False
