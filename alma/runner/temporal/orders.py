"""What passes through Temporal: names, ids and kinds of outcomes, and nothing else.

No output, no config, no text of an error: those are in the journal. It is encrypted all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "alma.Run"
START: Final = "alma.start"
NEXT: Final = "alma.next"
TURN: Final = "alma.turn"
INTERRUPT: Final = "alma.interrupt"
SUSPEND: Final = "alma.suspend"

SAGA: Final = "AlmaSaga"
STACK: Final = "AlmaStack"
STATE: Final = "AlmaState"
"""Search attributes, each a Keyword."""

OTHER_CODE: Final = "OtherCode"
REFUSED: Final = "refused"
"""Kinds of failure of an activity: another worker may do it; and nobody may."""
SUPERSEDED: Final = "superseded"
"""Another runner has the run's lease by now: nothing more is written here."""
INTERRUPTED: Final = "interrupted"


class OpenText(str):
    """A text that Temporal's own pages show: of step names and ids alone."""

    __slots__ = ()


@dataclass(frozen=True)
class Order:
    """What a workflow is to drive. `how`: `up`, `resume` or `rollback`.

    `asked` is the digest of what was said with it, which is kept with the journal (`Asked`).

    `place` is the host of a journal that is a file (`Process.host`), empty for one that is shared.
    `epoch` is that of its lease, once it has one. `searchable`: the namespace has alma's search
    attributes.
    """

    run: str
    target: str
    saga: str
    stack: str
    how: str
    heartbeat: float
    place: str = ""
    epoch: int = 0
    searchable: bool = False
    accept_changes: bool = False
    asked: str = ""


@dataclass(frozen=True)
class Lead:
    """Which run, under which lease."""

    run: str
    target: str
    epoch: int
    place: str
    heartbeat: float


@dataclass(frozen=True)
class Ask:
    """What is to be done now? `busy` are the steps that something is being done about."""

    lead: Lead
    busy: tuple[str, ...]


@dataclass(frozen=True)
class Todo:
    """One step's turn, or the run's end (`finish`, without a step).

    `queue` is who can do it. With `patience` (seconds) a worker of one host is waited for as long;
    where none has come, it is done in the queue `then`, or by nobody.
    """

    lead: Lead
    what: str
    step: str = ""
    attempt: int = 0
    delay: float = 0.0
    queue: str = ""
    patience: float = 0.0
    then: str = ""


@dataclass(frozen=True)
class Next:
    """The answer: `over` is the state that the run has ended in, or why nobody goes on here.

    `shown` is where it stands, in words for Temporal's own pages.
    """

    todo: tuple[Todo, ...]
    state: str
    over: str = ""
    shown: str = ""


def lead_of(order: Order) -> Lead:
    """What each activity of a run is told."""
    return Lead(order.run, order.target, order.epoch, order.place, order.heartbeat)


def queue_of(target: str, place: str) -> str:
    """Where a target's workflows are, and what only keeps the books; of a file's, on its host."""
    return f"alma/{target}@{place}" if place else f"alma/{target}"


def operations_of(target: str, place: str) -> str:
    """Where its operations are done that any worker of it can do."""
    return f"{queue_of(target, place)}/operations"


def host_queue_of(target: str, host: str, queue: str = "") -> str:
    """Where those are done that only this host can do (`Process.host`); of a queue's steps, its."""
    return f"alma/{target}/host/{host}" + (f"/{queue}" if queue else "")


def workflow_id(target: str) -> str:
    """One for each target: two at once are refused by Temporal itself."""
    return f"alma/{target}"
