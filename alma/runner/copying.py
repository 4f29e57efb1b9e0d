"""Copying a journal's runs into another one: from a file to a server, or back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import reduce
from pathlib import Path

from msgspec import Struct

from alma.core.run import RunStatus
from alma.errors import AuthenticationError, JournalError, RunnerBusyError
from alma.journal import Journal, open_store
from alma.journal.address import Address, may_be_there
from alma.journal.chain import add_to_digest
from alma.journal.copying import Missing, add, content, missing
from alma.journal.encryption import Keys
from alma.journal.journal import utc_now
from alma.journal.ownership import Ownership
from alma.journal.reading import is_driven, load_run
from alma.journal.seals import Seals
from alma.journal.store import Store, Writer
from alma.pulumi.snapshot_files import snapshots_of


class Copied(Struct, frozen=True, kw_only=True):
    """How many runs, events and snapshots are there now that were not before."""

    runs: int
    events: int
    snapshots: int


def copy_journal(source: Address, target: Address) -> Copied:
    """Add to `target` what it lacks of `source`: all of it or nothing, and a second time nothing.

    The chain is verified where it comes from, and where it has arrived. Raises RunnerBusyError
    where a run is at work in either, JournalError where they have gone apart, AuthenticationError
    where what is sealed could not be opened there.
    """
    if not may_be_there(source):
        raise JournalError(f"There is no journal {source}.")
    with _opened(source, write=False) as (store, here), _opened(target, write=True) as (to, there):
        if here.path == there.path:
            raise JournalError(f"{source} and {target} are the same journal.")
        here.act()
        there.act()
        _require_whole(here)
        targets = {run.run: run.target for run in here.runs(limit=None)}
        with ExitStack() as locks:
            for name in sorted(set(targets.values())):
                lock = None if is_driven(here, name) else to.lock(name)
                if lock is None:
                    raise RunnerBusyError(
                        f"A run of {name} is at work: nothing was copied.",
                        hint="Wait until it has ended, then copy again.",
                    )
                locks.callback(lock.release)
            if there.is_shared:
                _require_opened(here, targets)
            what = "read what is copied"
            lacking = missing(store.read(what, content), to.read(what, content), there.name)
            # First: what an event names has to be there.
            snapshots = _copy_snapshots(here, there)
            to.write("copy the runs", lambda writer: _add(writer, to, lacking, targets))
            _require_whole(there)
    return Copied(runs=len(lacking.runs), events=len(lacking.events), snapshots=snapshots)


@contextmanager
def _opened(where: Address, *, write: bool) -> Iterator[tuple[Store, Journal]]:
    store = open_store(where, write=write)
    with Journal(store, utc_now) as journal:
        if write:
            journal.require_key()
        yield store, journal


def _add(writer: Writer, to: Store, lacking: Missing, targets: Mapping[str, str]) -> None:
    """With the seals of this user, who has seen that all of it was written with a key of theirs."""
    ownership = Ownership(to.name, Seals(Keys(to.path, os.environ), os.environ))
    first = {row.run: row.seq for row in reversed(lacking.events)}
    for run, hashes in add(writer, lacking, targets).items():
        before = first[run] - 1
        digest = reduce(add_to_digest, hashes, ownership.digest_so_far(writer, run, before))
        ownership.seal(writer, run, before + len(hashes), hashes[-1], digest)


def _copy_snapshots(here: Journal, there: Journal) -> int:
    ours = snapshots_of(here.path, here.snapshots).place
    theirs = snapshots_of(there.path, there.snapshots).place
    copied = 0
    for digest in sorted(ours.digests() - theirs.digests()):
        if snapshot := ours.get(digest):
            theirs.put(digest, snapshot)
            copied += 1
    return copied


def _require_whole(journal: Journal) -> None:
    broken = journal.verify().first_break
    if broken is not None:
        raise JournalError(
            f"The journal {journal.name} is not what was written: {broken}.",
            hint="Compare it with a backup.",
        )


def _require_opened(here: Journal, targets: Mapping[str, str]) -> None:
    """What is sealed must open with the keys that all hosts have, and not with this one's alone."""
    shared = Keys(_NOWHERE, os.environ)
    for run_id in targets:
        try:
            run = load_run(here, run_id)
        except JournalError:
            continue  # what makes no run is gone on with nowhere
        for token in _sealed(run):
            try:
                shared.unseal(token)
            except AuthenticationError as error:
                raise AuthenticationError(
                    f"Run {run_id} keeps values sealed under a key of this host alone: no other "
                    "host could open them.",
                    hint=f"`alma-pulumi rekey --journal {here.name}`, with ALMA_JOURNAL_KEY set, "
                    "seals them under that one. Then copy.",
                ) from error


def _sealed(run: RunStatus) -> Iterator[str]:
    if run.sealed:
        yield run.sealed
    for step in run.steps.values():
        if step.sealed:
            yield step.sealed
        yield from step.hidden


_NOWHERE = Path("/nonexistent/journal")
"""Beside which there is no key."""
