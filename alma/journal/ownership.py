"""Whether a journal is this user's own: its runs held against their seals.

Where rows were added, changed or cut off by somebody who has not the key, a seal does not fit: the
run's own, when it is read, or that of the last event, when the journal is opened to be acted on.
"""

from __future__ import annotations

from functools import reduce

from alma.errors import UntrustedJournalError
from alma.journal.chain import add_to_digest
from alma.journal.rows import EventRow
from alma.journal.seals import Seals
from alma.journal.store import Reader, Writer


class Ownership:
    """Of one journal, for whoever acts on it."""

    def __init__(self, name: str, seals: Seals) -> None:
        self._name, self._seals = name, seals
        self._seen: dict[str, tuple[int, str]] = {}
        """By run: up to where it was seen to be this user's own, and its digest there."""

    def check_end(self, reader: Reader) -> None:
        """Raise UntrustedJournalError unless this user has written the last event."""
        last = reader.last_event()
        if last is None:
            return
        seal = reader.seal(last.run)
        ends = seal is not None and (seal.seq, seal.hash) == (last.seq, last.hash)
        if not ends or not self._seals.fits(seal):
            raise self._untrusted(last.run)

    def own_events(self, reader: Reader, run: str, after: int = 0) -> list[EventRow]:
        """The events of a run above `after`, all of it this user's own, or the same error.

        Who reads on where it has read, or written, to is given what is new, and no more is read.
        """
        seq, digest = self._seen.get(run, (0, ""))
        if seq != after:
            seq, digest = 0, ""
        found, seal = reader.events(run, seq), reader.seal(run)
        if found or seq:
            last = seq + len(found)
            digest = reduce(add_to_digest, (row.hash for row in found), digest)
            whole = seal is not None and (seal.seq, seal.digest) == (last, digest)
            if not whole or not self._seals.fits(seal):
                raise self._untrusted(run)
            self.seen(run, last, digest)
        return found[after - seq :]

    def seen(self, run: str, seq: int, digest: str) -> None:
        """Its events are known here up to this one: read, or just written."""
        self._seen[run] = seq, digest

    def digest_so_far(self, writer: Writer, run: str, seq: int) -> str:
        """The digest of a run's events up to the last; the same error where it is another's."""
        if not seq:
            return ""
        seal = writer.seal(run)
        if seal is None or seal.seq != seq or not self._seals.fits(seal):
            raise self._untrusted(run)
        return seal.digest

    def seal(self, writer: Writer, run: str, seq: int, hash_: str, digest: str) -> None:
        """Say that this user has written the run up to this event."""
        writer.put_seal(self._seals.make(run, seq, hash_, digest))

    def seal_all(self, writer: Writer) -> None:
        """The same of every run as it is."""
        ends: dict[str, tuple[int, str, str]] = {}
        for row in writer.all_events():
            digest = ends[row.run][2] if row.run in ends else ""
            ends[row.run] = row.seq, row.hash, add_to_digest(digest, row.hash)
        for run, end in ends.items():
            self.seal(writer, run, *end)

    def others(self, reader: Reader) -> list[str]:
        """The runs that this user has not sealed, newest first."""
        known = {seal.run: seal for seal in reader.seals()}
        return [row.run for row in reader.runs() if not self._seals.fits(known.get(row.run))]

    def _untrusted(self, run: str) -> UntrustedJournalError:
        return UntrustedJournalError(
            f"The journal {self._name} was not written with a key of yours (run {run}): "
            "it can be looked at, and is not acted on.",
            hint="Give --trust, once, if you know whose it is: an older alma's, or your own from "
            "another machine. Where each run has a machine of its own (CI), set ALMA_JOURNAL_KEY.",
        )
