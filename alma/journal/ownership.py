"""Whether a journal is this user's own: its runs held against their seals.

Where rows were added, changed or cut off by somebody who has not the key, a seal does not fit: the
run's own, when it is read, or that of the last event, when the journal is opened to be acted on.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from alma.errors import UntrustedJournalError
from alma.journal.chain import add_to_digest
from alma.journal.store import EventRow, Reader, Writer

if TYPE_CHECKING:
    from alma.journal.seals import Seals


def check_end(reader: Reader, seals: Seals, path: Path) -> None:
    """Raise UntrustedJournalError unless this user has written the last event."""
    last = reader.last_event()
    if last is None:
        return
    seal = reader.seal(last.run)
    if seal is None or (seal.seq, seal.hash) != (last.seq, last.hash) or not seals.fits(seal):
        raise _untrusted(path, last.run)


def own_events(reader: Reader, seals: Seals, path: Path, run: str) -> list[EventRow]:
    """The events of a run that this user has written, all of them; else UntrustedJournalError."""
    found, seal = reader.events(run), reader.seal(run)
    if found:
        digest = reduce(add_to_digest, (row.hash for row in found), "")
        if seal is None or (seal.seq, seal.digest) != (len(found), digest) or not seals.fits(seal):
            raise _untrusted(path, run)
    return found


def digest_so_far(writer: Writer, seals: Seals, path: Path, run: str, seq: int) -> str:
    """The digest of a run's events up to the last; UntrustedJournalError where it is another's."""
    if not seq:
        return ""
    seal = writer.seal(run)
    if seal is None or seal.seq != seq or not seals.fits(seal):
        raise _untrusted(path, run)
    return seal.digest


def others(reader: Reader, seals: Seals) -> list[str]:
    """The runs that this user has not sealed, newest first."""
    known = {seal.run: seal for seal in reader.seals()}
    return [row.run for row in reader.runs() if not seals.fits(known.get(row.run))]


def seal_all(writer: Writer, seals: Seals) -> None:
    """Seal every run as it is."""
    ends: dict[str, tuple[int, str, str]] = {}
    for row in writer.all_events():
        digest = ends[row.run][2] if row.run in ends else ""
        ends[row.run] = row.seq, row.hash, add_to_digest(digest, row.hash)
    for run, end in ends.items():
        writer.put_seal(seals.make(run, *end))


def _untrusted(path: Path, run: str) -> UntrustedJournalError:
    return UntrustedJournalError(
        f"The journal {path} was not written with a key of yours (run {run}): "
        "it can be looked at, and is not acted on.",
        hint="Give --trust, once, if you know whose it is: an older alma's, or your own from "
        "another machine. Where each run has a machine of its own (CI), set ALMA_JOURNAL_KEY.",
    )
