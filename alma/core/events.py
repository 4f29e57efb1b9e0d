"""The closed set of events of a run, frozen and in the past tense, and their JSON codec.

An event says what is about to happen (`OperationIntended`) or what has happened (all others).
The journal wraps each in a `Recorded`: who wrote it, when, at which place. No event ever holds
a secret value: outputs are masked before they come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from alma.core.struct import Frozen, field

Direction = Literal["forward", "back"]
RunKind = Literal["up", "destroy", "restore"]
NOT_RETRIED: Final = ("cancelled", "passphrase", "pending", "refused")
"""Kinds of failure that another attempt cannot mend: we asked for it, or a person must act."""

OperationKind = Literal["up", "destroy", "restore", "action", "compensation", "mend", "remove"]


class Leftover(Frozen):
    """Something that may still exist. Empty strings where a part is not known."""

    step: str
    stack: str = ""
    urn: str = ""
    id: str = ""
    reason: str = ""


class Failure(Frozen):
    """Why an operation failed, in the provider's own words where there are any.

    `kind`: program, provider, action, locked, cancelled, timeout, worker, passphrase, backend,
    pending (a create was cut off, and nobody could say what became of it), refused (a service
    said no, and would again), unverified, or unknown. `log` is the file with the CLI's whole
    output.
    """

    kind: str
    message: str
    urn: str = ""
    hint: str = ""
    log: str = ""


IN_DOUBT: Final = "creating"
"""The `op` of a create that was begun and of which nobody knows whether it happened."""
UNANSWERED: Final = "unanswered"
"""As IN_DOUBT, where the provider lives and the service's answer never reached it."""
UNREADABLE: Final = "unreadable"
"""As IN_DOUBT, where the provider has done its work, and its answer could not be taken."""
DOUBTFUL: Final = (IN_DOUBT, UNANSWERED, UNREADABLE)


class ResourceChange(Frozen):
    """One resource that an operation touched: `op` is Pulumi's word (create, update, ...)."""

    urn: str
    op: str
    id: str = ""


class Process(Frozen):
    """A process by what identifies it for good: host, pid and start time (seconds, epoch)."""

    host: str
    pid: int
    started: float


class Event(Frozen):
    """The base of all events; `type` is the class's name, as the journal shows it."""

    registry: ClassVar[dict[str, type[Event]]] = {}
    type: ClassVar[str] = "Event"
    step: str

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.type = cls.__name__
        Event.registry[cls.__name__] = cls


class RunCreated(Event):
    """A run exists: which saga, which definition, where its state is kept, from which file."""

    saga: str
    stack: str
    kind: RunKind
    definition: Mapping[str, Any]
    digest: str
    backend: str = ""
    origin: str = ""
    """The file and name the saga came from (`path/saga.py:saga`), for `resume`; or empty."""
    remove_records: bool = False
    """destroy runs only: whether the stacks' own records are removed as well."""
    snapshot: str = ""
    """restore runs only: digest of the deployment that is brought back."""
    moment: str = ""
    """restore runs only: which one that is, `before RUN` or `after RUN`."""
    versions: Mapping[str, str] = field(default_factory=dict)
    step: str = ""


class RunnerAttached(Event):
    """A process took the lease and drives the run from here."""

    process: Process
    actor: str
    step: str = ""


class RunResumed(Event):
    """Somebody asked for the run to go on, in this direction."""

    direction: Direction
    actor: str
    definition: Mapping[str, Any] | None = None
    """The accepted new definition, when it had changed; else None."""
    step: str = ""


class InterruptReceived(Event):
    """The runner got a signal. `count` 1: drain, then the failure policy; 2: stop now."""

    signal: str
    count: int
    step: str = ""


class StepStarted(Event):
    """What a step found before its first operation. `held`: resources its stack already had."""

    step: str
    project: str = ""
    stack: str = ""
    record_existed: bool = False
    held: int = 0
    fingerprint: str = ""
    """Digest of the stack's resources at that moment, to tell later whether they changed."""
    snapshot: str = ""
    """Digest of the deployment as it was then, kept beside the journal; empty: none was kept."""


class OperationIntended(Event):
    """About to happen: committed before anything outside is touched."""

    step: str
    operation: str
    kind: OperationKind
    attempt: int = 1
    log: str = ""
    keeps: tuple[Leftover, ...] = ()
    """Of a destroy: resources that it will leave behind by an option of their own."""


class ProcessSpawned(Event):
    """A process that works for this operation: role `worker`, or `cli` (Pulumi, Terraform, ...)."""

    step: str
    operation: str
    role: str
    process: Process


class SignalSent(Event):
    """alma signalled an operation's process: why is `interrupt` or `deadline`."""

    step: str
    operation: str
    signal: str
    why: str


class OperationSucceeded(Event):
    """Done, and for an undo: verified. `outputs` are masked; `evidence` is what was read."""

    step: str
    operation: str
    kind: OperationKind
    seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


class OperationFailed(Event):
    """It did not succeed; for an undo `leftovers` is what the state still shows."""

    step: str
    operation: str
    kind: OperationKind
    failure: Failure
    seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What was read afterwards, such as the `fingerprint` of what the operation left."""


class OperationLeftInDoubt(Event):
    """The runner stopped, or lost sight of it, before the outcome was known."""

    step: str
    operation: str
    reason: str


class OperationReconciled(Event):
    """What was found about an operation in doubt; it is repeated after this."""

    step: str
    operation: str
    found: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class CompensationStarted(Event):
    """The run turned back: everything that started is undone from here."""

    reason: str
    failed_step: str = ""
    step: str = ""


class StepCompensated(Event):
    """Verified undone. `how`: destroyed, unchanged, called, nothing, or restored."""

    step: str
    how: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class StepRetained(Event):
    """Left as it is on purpose, so it is not undone: what is left, and why."""

    step: str
    reason: str
    leftovers: tuple[Leftover, ...] = ()


class StepSkipped(Event):
    """An operator lets the undo go past this step; StepRetained follows and names what is left."""

    step: str
    actor: str
    reason: str


class RunAbandoned(Event):
    """An operator gives the run up; RunFailed follows and names what is left."""

    actor: str
    reason: str
    step: str = ""


class RunCompleted(Event):
    """Every step succeeded."""

    step: str = ""


class RunCompensated(Event):
    """Everything that this run did is verified undone."""

    step: str = ""


class RunFailed(Event):
    """The run ended with something left; every leftover is here."""

    reason: str
    leftovers: tuple[Leftover, ...] = ()
    step: str = ""


class RunInterrupted(Event):
    """The runner stopped in order, before the end: resumable."""

    reason: str
    step: str = ""


_PARTS = (Leftover, Failure, ResourceChange, Process)
_NESTED = {"failure": Failure, "process": Process}
_NESTED_LISTS = {"leftovers": Leftover, "keeps": Leftover, "resources": ResourceChange}


class Recorded(Frozen):
    """An event as the journal holds it. `seq` counts from 1 in each run, without gaps."""

    run: str
    seq: int
    at: datetime
    epoch: int
    event: Event
    hash: str = ""


def encode(event: Event) -> dict[str, Any]:
    """The event's own fields as plain JSON types, without its type and step."""
    return {key: _plain(value) for key, value in vars(event).items() if key != "step"}


def _plain(value: Any) -> Any:
    """The few shapes that fields have; `asdict` would copy each mapping and look at each value."""
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return {**vars(value)} if isinstance(value, _PARTS) else value


def decode(type_: str, step: str, data: Mapping[str, Any]) -> Event:
    """The inverse of `encode`; `ValueError` for a type or field this version does not know."""
    cls = Event.registry.get(type_)
    if cls is None:
        raise ValueError(f"unknown event type {type_!r}")
    fields: dict[str, Any] = {"step": step}
    for key, value in data.items():
        if key in _NESTED and value is not None:
            fields[key] = _NESTED[key](**value)
        elif key in _NESTED_LISTS:
            fields[key] = tuple(_NESTED_LISTS[key](**entry) for entry in value)
        else:
            fields[key] = value
    try:
        return cls(**fields)
    except TypeError as error:
        raise ValueError(f"event {type_}: {error}") from error
