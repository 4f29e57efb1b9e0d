"""Who can do what is to be done next: any worker, those of a queue, or those of one host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from alma.core.decide import Command, Compensate, Execute, Finish, Reconcile
from alma.core.run import RunStatus
from alma.journal import Journal
from alma.runner.temporal.orders import Lead, Todo, host_queue_of, operations_of

PATIENCE: Final = 10
"""For how many times the heartbeat's limit a host is waited for, on which an operation is in doubt:
then the run stops, and an operator says whether that host is gone."""
FOR_EPHEMERAL: Final = 2
"""The same of a host that has said that it is gone with its worker: then anybody goes on. One that
was only cut off from the journal lives, and settles it itself."""


def routed(
    lead: Lead, run: RunStatus, commands: Iterable[Command], journal: Journal
) -> Iterator[Todo]:
    """Each command that is work, and where it is done."""
    bound = _state_of(run) if journal.is_shared else ""
    for command in commands:
        if isinstance(command, Finish):
            yield Todo(lead, "finish", queue=_queue(lead, bound, ""))
        elif isinstance(command, Reconcile):
            yield _settling(lead, run, command.step, bound, shared=journal.is_shared)
        elif isinstance(command, Execute | Compensate):
            what = "execute" if isinstance(command, Execute) else "compensate"
            queue = _queue(lead, bound, _own(run, command.step))
            yield Todo(lead, what, command.step, command.attempt, command.delay, queue)


def _queue(lead: Lead, host: str, own: str) -> str:
    if host:
        return host_queue_of(lead.target, host, own)
    return own or operations_of(lead.target, lead.place)


def _own(run: RunStatus, step: str) -> str:
    return run.definition.step(step).queue or ""


def _state_of(run: RunStatus) -> str:
    """State in files is on the host that began the run: no other one can see it."""
    in_files = run.backend.startswith("file:") and run.runner is not None
    return run.runner.host if in_files and run.runner else ""


def _settling(lead: Lead, run: RunStatus, step: str, bound: str, *, shared: bool) -> Todo:
    """On the host on which an operation in doubt may still be at work; anywhere if it is gone."""
    found, own = run.steps[step].open, _own(run, step)
    anywhere = _queue(lead, bound, own)
    if not shared or found is None or not found.host or found.host in run.gone:
        return Todo(lead, "reconcile", step, queue=anywhere)
    return Todo(
        lead,
        "reconcile",
        step,
        queue=_queue(lead, found.host, own),
        patience=lead.heartbeat * (FOR_EPHEMERAL if found.ephemeral else PATIENCE),
        then=anywhere if found.ephemeral else "",
    )
