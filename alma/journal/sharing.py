"""What a journal has for processes that share one run, under one lease."""

from __future__ import annotations

from alma.journal import lease as leases
from alma.journal.lease import Lease
from alma.journal.rows import Place
from alma.journal.store import Lock, Store


class SharedRuns:
    """A part of `Journal`."""

    _store: Store

    def join(self, target: str, run: str, epoch: int) -> Lease:
        """A lease that was taken for others as well; StaleEpochError once there is a later one."""
        from alma.system.processes import this_process  # psutil: only a runner needs it

        return leases.join(self._store, target, run, epoch, this_process())

    def lock_part(self, target: str, part: str) -> Lock | None:
        """Lock what is done about a part of a target; None while somebody has that."""
        return self._store.lock(f"{target}#{part}")

    def place(self, run: str, target: str) -> Place:
        """What an append would follow."""
        return self._store.read(f"look at run {run}", lambda reader: reader.place(run, target))
