"""Where what is added to a journal goes: a run's first event, and those that follow."""

from __future__ import annotations

from collections.abc import Sequence

from alma.core.events import Recorded, RunCreated
from alma.errors import JournalError, RunNotFoundError, SeqTakenError
from alma.journal.lease import Lease
from alma.journal.rows import Place, RunRow, target_in
from alma.journal.store import Writer, to_stamp


def add_run(
    journal: str, writer: Writer, place: Place, first: Recorded, create: RunCreated
) -> Place:
    """List a run; where its first event goes."""
    if place.target is not None:
        raise JournalError(f"There is a run {first.run} in {journal} already.")
    row = RunRow(
        position=place.position + 1,
        run=first.run,
        target=target_in(create.saga, create.stack, create.definition),
        saga=create.saga,
        stack=create.stack,
        kind=create.kind,
        created_at=to_stamp(first.at),
    )
    writer.add_run(row)
    return place._replace(target=row.target)


def check_place(
    journal: str, place: Place, run: str, lease: Lease, drafts: Sequence[Recorded]
) -> None:
    """Refuse what does not come next in its run, or is of another one's lease."""
    if place.target is None:
        raise RunNotFoundError(f"There is no run {run} in {journal}.")
    if place.target != lease.target:
        raise JournalError(f"Run {run} is of {place.target}, its lease of {lease.target}.")
    for seq, draft in enumerate(drafts, start=place.seq + 1):
        if draft.seq not in (0, seq):
            raise SeqTakenError(
                f"Run {run} holds {seq - 1} events in {journal}, not the "
                f"{draft.seq - 1} that its runner knows: somebody else has written into it."
            )
