"""The journal: events that are only ever added, in one chain, whatever store keeps them.

Nothing about the chain is kept in memory: the place of the next event is read inside the
transaction that adds it. So a failed commit changes nothing, and several processes may write at
once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from alma.core.events import Event, Process, Recorded, RunCreated
from alma.errors import BrokenJournalError, RunNotFoundError, StaleEpochError
from alma.journal import lease as leases
from alma.journal.chain import (
    GENESIS,
    Head,
    Verdict,
    add_to_digest,
    row_hash,
    row_problem,
    verify,
)
from alma.journal.lease import Holder, Lease, SharedRuns
from alma.journal.references import SHOWN, is_part, not_found
from alma.journal.rows import DeliveryRow, EventRow, ObservationRow, RunRow
from alma.journal.store import Store, Writer, to_recorded, to_stamp, to_text

if TYPE_CHECKING:
    from alma.journal.encryption import Keys
    from alma.journal.ownership import Ownership
    from alma.journal.snapshots import SnapshotRows


def utc_now() -> datetime:
    """The clock that is injected everywhere: aware, UTC."""
    return datetime.now(UTC)


class Journal(SharedRuns):
    """One journal, opened by `open_journal`. Safe to share between threads; a context manager.

    Every method raises JournalError when the store cannot be read, written or trusted.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._acts = False

    @property
    def path(self) -> Path:
        """The store's file, absolute: what else a run keeps is beside it. See `Store.path`."""
        return self._store.path

    @property
    def name(self) -> str:
        """What it is called in sentences: see `Store.name`."""
        return self._store.name

    @property
    def is_shared(self) -> bool:
        """Whether other hosts work with it: see `Store.is_shared`."""
        return self._store.is_shared

    @property
    def snapshots(self) -> SnapshotRows | None:
        """See `Store.snapshots`."""
        return self._store.snapshots

    @cached_property
    def keys(self) -> Keys:
        """What seals the values that nobody may read, and opens them."""
        from alma.journal.encryption import Keys  # who only looks needs none

        return Keys(self.path, os.environ)

    @cached_property
    def _ownership(self) -> Ownership:
        """By which it is known as this user's own."""
        from alma.journal.ownership import Ownership  # as above
        from alma.journal.seals import Seals

        return Ownership(self.name, Seals(self.keys, os.environ))

    def require_key(self) -> None:
        """Raise AuthenticationError for a shared journal whose key would be this host's alone.

        Another host could neither open what is sealed, nor know what was written for its own.
        """
        if self.is_shared and not self.keys.chosen:
            from alma.journal.encryption import known_on_no_other

            raise known_on_no_other(self.name)

    def close(self) -> None:
        """Close it; the second time does nothing."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def now(self) -> datetime:
        """The time by which what is journaled expires.

        Of a journal that hosts share it is the server's: whose clock is wrong does no harm by it.
        """
        return self._store.now() or self._clock()

    # -- leases ------------------------------------------------------------------------------

    def acquire(
        self, target: str, run: str, *, actor: str = "", process: Process | None = None
    ) -> Lease:
        """Take the lease on a target (`saga/stack`) for this run, which need not exist yet.

        Raises RunnerBusyError, naming the holder, while somebody has it.
        """
        if process is None:
            from alma.system.processes import this_process  # psutil: only a runner needs it

            process = this_process()
        return leases.acquire(self._store, target, run, actor, process, self._clock())

    def latest_epoch(self, target: str) -> int:
        """The epoch of the last lease on a target; 0 before the first."""
        row = self._store.read("read the leases", lambda reader: reader.last_lease(target))
        return row.epoch if row else 0

    def holder(self, target: str) -> Holder | None:
        """The last lease on a target, live or not; None when there never was one."""
        return leases.holder(self._store, target)

    def is_held(self, target: str) -> bool:
        """Whether a live runner holds the lease on a target. Writes nothing."""
        return self._store.is_locked(target)

    # -- adding events -----------------------------------------------------------------------

    def create_run(self, run: str, event: RunCreated, lease: Lease) -> Recorded:
        """List a new run together with its first event."""
        from alma.core.notice import due  # who only looks needs none of it
        from alma.core.state import fold
        from alma.journal.deliveries import owed_for

        draft = self.draft(run, 1, event, lease)
        owed = owed_for(draft, due(fold([draft]), draft)) if event.notify else ()
        return self._add([draft], lease, owed, create=event)[0]

    def append(self, run: str, event: Event, lease: Lease) -> Recorded:
        """Add one event, durably: when this returns, it is on disk. Raises as `commit` does."""
        return self._add([self.draft(run, 0, event, lease)], lease)[0]

    def draft(self, run: str, seq: int, event: Event, lease: Lease) -> Recorded:
        """What `commit` will write: not in the journal yet, and without a hash.

        A `seq` of 0 is whichever comes next.
        """
        return Recorded(run=run, seq=seq, at=self._clock(), epoch=lease.epoch, event=event)

    def commit(
        self, drafts: Sequence[Recorded], lease: Lease, owed: Sequence[DeliveryRow] = ()
    ) -> list[Recorded]:
        """Add these events of one run, durably, in one transaction: all of them or none.

        With them what is `owed` to who is to be told of them.

        Raises StaleEpochError when the lease was released or taken over, RunNotFoundError
        before `create_run`; JournalError also for what JSON cannot hold, and when a draft's
        `seq` is not the next one: then somebody else has written into the run.
        """
        return self._add(drafts, lease, owed)

    def _add(
        self,
        drafts: Sequence[Recorded],
        lease: Lease,
        owed: Sequence[DeliveryRow] = (),
        *,
        create: RunCreated | None = None,
    ) -> list[Recorded]:
        from alma.journal.adding import add_run, check_place  # as above

        run, texts = drafts[0].run, [to_text(draft.event) for draft in drafts]
        if not lease.held or lease.run != run:
            raise StaleEpochError(f"The lease on {lease.target} is not held for run {run}.")

        def work(writer: Writer) -> tuple[list[Recorded], str]:
            place = writer.place(run, lease.target)
            lease.check_epoch(place.epoch)
            if create is not None:
                place = add_run(self.name, writer, place, drafts[0], create)
            check_place(self.name, place, run, lease, drafts)
            added, prev = [], place.hash or GENESIS
            digest = self._ownership.digest_so_far(writer, run, place.seq)
            for number, (draft, data) in enumerate(zip(drafts, texts, strict=True), start=1):
                position, seq, event = place.position + number, place.seq + number, draft.event
                at = to_stamp(draft.at)
                columns = (position, run, seq, at, place.epoch, event.type, event.step, data)
                row = EventRow(*columns, prev, row_hash(prev, columns))
                writer.add_event(row)
                added.append(replace(draft, seq=seq, epoch=row.epoch, hash=row.hash))
                prev = row.hash
                digest = add_to_digest(digest, prev)
            self._ownership.seal(writer, run, added[-1].seq, prev, digest)
            for notice in owed:
                writer.put_delivery(notice)
            return added, digest

        what = " and ".join(draft.event.type for draft in drafts)
        written, digest = self._store.write(f"write {what} of run {run}", work)
        self._ownership.seen(run, written[-1].seq, digest)
        return written

    # -- reading -----------------------------------------------------------------------------

    def events(self, run: str, after: int = 0) -> list[Recorded]:
        """The run's events in order, those with a seq above `after`; [] for an unknown run.

        Each row is held against its hash: an edited or damaged one raises JournalError. All of
        them are held against the run's seal where they are acted on (see `act`).
        """
        what = f"read run {run}"
        if self._acts:
            found = self._store.read(
                what, lambda reader: self._ownership.own_events(reader, run, after)
            )
        else:
            found = self._store.read(what, lambda reader: reader.events(run, after))
        for seq, row in enumerate(found, start=after + 1):
            if problem := row_problem(row, seq):
                raise BrokenJournalError(
                    f"The journal {self.name} cannot be trusted: run {run}, seq {row.seq}: "
                    f"{problem}.",
                    hint="alma-pulumi verify names the first break.",
                )
        return [to_recorded(row) for row in found]

    def runs(self, limit: int | None = 20, target: str | None = None) -> list[RunRow]:
        """The runs, newest first (by their place, not by the clock); of one target if given."""
        return self._store.read("list the runs", lambda reader: reader.runs(limit, target))

    def run(self, run: str) -> RunRow:
        """The run with exactly that id; RunNotFoundError when there is none."""
        row = self._store.read(f"find run {run}", lambda reader: reader.run(run))
        if row is None:
            raise RunNotFoundError(f"There is no run {run} in {self.name}.")
        return row

    def resolve(self, reference: str) -> str:
        """The id of the run that `latest`, an id or a unique prefix of one means.

        `latest` is never a run that is a part of another one.

        Raises RunNotFoundError, with the ids that come into question.
        """
        newest = [row.run for row in self.runs(limit=SHOWN)]
        if not newest:
            raise RunNotFoundError(f"There are no runs in {self.name} yet.")
        if reference == "latest":
            every = (row.run for row in self.runs(limit=None))
            return next((run for run in every if not is_part(self.events(run))), newest[0])
        found = self._matching(reference) if reference else []
        if reference in found or len(found) == 1:
            return found[0]
        raise not_found(str(self.name), reference, found, newest)

    def _matching(self, prefix: str) -> list[str]:
        return self._store.read("list the runs", lambda reader: reader.matching(prefix, SHOWN + 1))

    # -- notices -----------------------------------------------------------------------------

    def deliveries(self, run: str | None = None, *, still_open: bool = False) -> list[DeliveryRow]:
        """See `Reader.deliveries`."""
        return self._store.read(
            "read the deliveries", lambda reader: reader.deliveries(run, still_open=still_open)
        )

    def put_delivery(self, before: DeliveryRow | None, after: DeliveryRow) -> bool:
        """Put it in the place of what it was; False where somebody else has been there since."""
        from alma.journal.deliveries import swapped  # as above

        return self._store.write("note a delivery", lambda writer: swapped(writer, before, after))

    def observe(self, rows: Sequence[ObservationRow]) -> None:
        """Add what a look at drift has found; it is of no run, and needs no lease."""
        self._store.write("keep what was seen", lambda new: [*map(new.add_observation, rows)])

    def observations(self, target: str | None = None) -> list[ObservationRow]:
        """What looks at drift have found, the first look first; of one target if given."""
        return self._store.read("read what was seen", lambda rows: rows.observations(target))

    # -- trust -------------------------------------------------------------------------------

    def head(self) -> Head:
        """The place and hash of the last event. Keep it elsewhere, to `verify` against later."""
        row = self._store.read("read the last event", lambda reader: reader.last_event())
        return Head(position=row.position, hash=row.hash) if row else Head()

    def verify(self, expected: Head | None = None) -> Verdict:
        """Walk the whole chain and check the store; `expected` is an earlier `head()`."""
        return self._store.read("verify", lambda reader: verify(reader, expected))

    def act(self) -> Self:
        """From here on what it says is acted on; UntrustedJournalError where it is another's.

        Its last event must be this user's own, and so must be each run that is read from now on.
        """
        self.require_key()
        self._store.read("find out whose it is", self._ownership.check_end)
        self._acts = True
        return self

    def others(self) -> list[str]:
        """The runs that are not sealed by this user, newest first. Reads no event."""
        return self._store.read("find out whose it is", self._ownership.others)

    def adopt(self) -> None:
        """Make it this user's own, as it is: who asks for that says that it can be trusted.

        Raises JournalError for one that is broken.
        """
        broken = self.verify().first_break
        if broken is not None:
            raise BrokenJournalError(
                f"The journal {self.name} is not what was written: {broken}.",
                hint="Nothing makes it trustworthy. Compare it with a backup.",
            )
        self.seal_again()

    def seal_again(self) -> None:
        """Seal each run under the key that seals now."""
        self._store.write("seal the runs", self._ownership.seal_all)
