"""The locks on a stack: who holds it, whether that is proven dead, and how they go.

A lock of a self-managed backend (`pkg/backend/diy/lock.go` in pulumi/pulumi) is an object with pid,
user, host and time. It has no lease, so it stays when its holder dies. Of a file backend it is a
file; any other is asked through the CLI, which names every lock that it is refused by. The Pulumi
Cloud has leases of its own, and no locks.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import psutil
from msgspec import Struct

from alma.core.event_parts import Gone
from alma.core.events import Process
from alma.core.operation import Operation
from alma.pulumi.backend import Backend
from alma.pulumi.cli import PulumiCli
from alma.pulumi.engine import StackRef
from alma.pulumi.family import is_cli
from alma.system.processes import HOST, PLACE

_CLOCKS: Final = 2.0
"""Seconds by which a process's start may seem to lie after a lock that it took itself."""
_TOLD: Final = re.compile(
    r"^ +(?P<place>\S+): created by "
    r"(?P<user>.{1,200})@(?P<host>\S{1,300}) \(pid (?P<pid>\d{1,10})\) at (?P<at>\S{1,60})$",
    re.MULTILINE,
)
_COUNT: Final = re.compile(r"the stack is currently locked by (\d+) lock\(s\)")


class Lock(Struct, frozen=True, kw_only=True):
    """One lock, and its path or URL; `pid` 0 and an empty `host` when it cannot be read."""

    place: str
    pid: int
    user: str
    host: str
    at: datetime

    @property
    def holder(self) -> str:
        """`user@host (pid 1) since 2026-01-01T00:00:00+00:00`."""
        return f"{self.user}@{self.host} (pid {self.pid}) since {self.at.isoformat()}"

    def is_proven_dead(self) -> bool:
        """Same host, and the pid is free or was given to another process after the lock.

        A Pulumi CLI with that pid is taken for the holder whatever the times say: after a clock
        was set, a process seems to have started later than it did.
        """
        if self.host != HOST or self.pid <= 0:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            if is_cli(process):
                return False
            return process.create_time() > self.at.timestamp() + _CLOCKS
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def is_of(self, processes: Iterable[Process]) -> bool:
        """Whether one of these took it, here: many hosts may be of one name."""
        at = self.at.timestamp() + 1 + _CLOCKS  # it may be told by the second
        return any(
            (one.pid, one.host) == (self.pid, PLACE) and one.started <= at for one in processes
        )

    def is_of_gone(self, gone: Gone) -> bool:
        """Whether it was taken on a host that is gone, at that time: hosts may be of one name.

        This one may be of that name as well, and then what lives here is not gone.
        """
        at = self.at.timestamp()
        then = gone.since <= at + 1 + _CLOCKS and at - _CLOCKS <= gone.until
        named = self.host in gone.machines
        return named and then and (self.host != HOST or self.is_proven_dead())


class Locks(Protocol):
    """Those of one stack."""

    async def look(self) -> Sequence[Lock]:
        """All of them."""
        ...

    async def remove(self, locks: Sequence[Lock], operation: str = "") -> None:
        """Let them go: each is proven dead. Who does it has the marker of the operation."""
        ...

    def is_dead(self, lock: Lock, known: Iterable[Process]) -> bool:
        """Whether its holder is proven dead; `known` are processes that worked on the stack."""
        ...

    def way_out(self, lock: Lock) -> str:
        """What a person does who knows that the holder is dead."""
        ...


def locks_on(backend: Backend, ref: StackRef, reader: PulumiCli) -> Locks | None:
    """The locks of this backend on the stack; None where it has none."""
    if backend.root is not None:
        return FileLocks(root=backend.root, ref=ref)
    return None if backend.is_cloud else AskedLocks(reader=reader, ref=ref)


class FileLocks(Struct, frozen=True, kw_only=True):
    """Of a file backend."""

    root: Path
    ref: StackRef

    async def look(self) -> Sequence[Lock]:
        """Read the files."""
        return await asyncio.to_thread(lambda: list(locks_of(self.root, self.ref)))

    async def remove(self, locks: Sequence[Lock], operation: str = "") -> None:  # noqa: ARG002
        """Delete them, and the backend's note on its content type beside each."""
        places = [place for lock in locks for place in (lock.place, f"{lock.place}.attrs")]
        await asyncio.to_thread(_unlink, places)

    def is_dead(self, lock: Lock, known: Iterable[Process]) -> bool:  # noqa: ARG002
        """By its pid: the directory is this host's."""
        return lock.is_proven_dead()

    def way_out(self, lock: Lock) -> str:
        """Its file."""
        return f"delete {lock.place}"


class AskedLocks(Struct, frozen=True, kw_only=True):
    """Of a bucket or a database, by what the CLI says.

    It is read and removed by the CLI alone, which removes all locks of a stack: so only a lock
    that an operation of the journal took is ever removed. While it is there nobody else gets one,
    and nobody else can prove it dead.
    """

    reader: PulumiCli
    ref: StackRef

    async def look(self) -> Sequence[Lock]:
        """One process, two where the stack has a record."""
        return told_locks(await self.reader.refusal(self.ref))

    async def remove(self, locks: Sequence[Lock], operation: str = "") -> None:
        """`pulumi cancel`, which stops nothing on such a backend.

        It must not go on behind a runner that has died, and remove the locks of who comes next.
        """
        if locks:
            of = Operation(id=operation, interrupt=asyncio.Event()) if operation else None
            await self.reader.cancel(self.ref, of)

    def is_dead(self, lock: Lock, known: Iterable[Process]) -> bool:
        """By its pid, where one of these processes took it."""
        return lock.is_of(known) and lock.is_proven_dead()

    def way_out(self, lock: Lock) -> str:  # noqa: ARG002 - there is no removing one alone
        """The CLI's own."""
        return f"remove it with `pulumi cancel --stack {self.ref.qualified}` in its project"


def locks_of(root: Path, ref: StackRef) -> Iterator[Lock]:
    """The locks on this stack. All projects of a file backend are of one organization."""
    folder = root / ".pulumi" / "locks" / "organization" / ref.project / ref.stack
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text())
            yield Lock(
                place=str(path),
                pid=int(content["pid"]),
                user=str(content["username"]),
                host=str(content["hostname"]),
                at=datetime.fromisoformat(content["timestamp"]),
            )
        except FileNotFoundError:
            continue  # Released meanwhile.
        except (OSError, ValueError, KeyError, TypeError):
            yield _unreadable(str(path))


def told_locks(said: str) -> list[Lock]:
    """The locks that the CLI names where it is refused; none where it says nothing of any."""
    count = _COUNT.search(said)
    if count is None:
        return []
    found = []
    for told in _TOLD.finditer(said):
        try:
            at = datetime.fromisoformat(told["at"])
        except ValueError:
            continue
        found.append(
            Lock(
                place=told["place"],
                pid=int(told["pid"]),
                user=told["user"],
                host=told["host"],
                at=at if at.tzinfo else at.replace(tzinfo=UTC),
            )
        )
    missing = int(count[1][:3]) - len(found)  # whatever a text says, some are enough
    return found + [_unreadable("?")] * missing


def _unlink(places: Iterable[str]) -> None:
    for place in places:
        Path(place).unlink(missing_ok=True)


def _unreadable(place: str) -> Lock:
    return Lock(place=place, pid=0, user="?", host="", at=datetime.fromtimestamp(0, UTC))
