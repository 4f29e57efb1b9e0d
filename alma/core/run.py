"""What is known of a run and of its steps: the shapes that `alma.core.state.fold` fills.

They are only ever changed by `alma.core.state.apply`; everybody else reads them. `ReadySet` is
what the next decision turns on, kept up as events come in: no decision walks over all steps.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from alma.core.approval import Approval
from alma.core.definition import Definition, StepDefinition
from alma.core.event_parts import NONE_GONE, Gone
from alma.core.events import (
    Direction,
    Expiry,
    Failure,
    Leftover,
    Notifier,
    OperationKind,
    Parent,
    Process,
    ReadyAwaited,
    ResourceChange,
    RunKind,
    StepStarted,
    Workflow,
)


class SagaState(StrEnum):
    """The states of a run, and with the same meaning of a step.

    `state == "compensated"` holds; reports, JSON and the journal show the names in capitals.
    """

    PENDING = "pending"
    """Nothing was started yet."""
    RUNNING = "running"
    """Going forward."""
    COMPENSATING = "compensating"
    """Something failed: what started is being undone."""
    COMPLETED = "completed"
    """Every step succeeded."""
    FAILED = "failed"
    """It ended with something left; every leftover is named."""
    COMPENSATED = "compensated"
    """It failed, and all that it did is verified undone."""

    @property
    def is_final(self) -> bool:
        """Whether a run in this state is over (FAILED can still be taken up again)."""
        return self in (SagaState.COMPLETED, SagaState.FAILED, SagaState.COMPENSATED)


class OpenOperation(Struct, kw_only=True, gc=False):
    """An operation whose intent is in the journal and whose outcome is not.

    `log` is filled in by who looks for what became of it: a path out of a row is only shown.
    """

    id: str
    kind: OperationKind
    attempt: int
    epoch: int
    log: str = ""
    processes: tuple[Process, ...] = ()
    first: bool = True
    """No operation of its step had begun before it."""
    at: datetime | None = None
    host: str = ""
    """When, and where its runner was (`Process.host`)."""
    ephemeral: bool = False
    """Its worker has said of its host that it is gone when the worker is."""
    gone: Gone = NONE_GONE
    """Filled in with `log`: which hosts are known to be gone."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where it was at work, as `Process.host`."""
        known = (self.host, *(process.host for process in self.processes))
        return tuple(dict.fromkeys(host for host in known if host))


class Child(Struct, frozen=True, kw_only=True, gc=False):
    """A run that is a part of a step."""

    run: str
    target: str


class StepStatus(Struct, kw_only=True, gc=False):
    """One step of a run. Times are aware; `seconds` adds up its operations."""

    definition: StepDefinition
    state: SagaState = SagaState.PENDING
    started: StepStarted | None = None
    attempts: int = 0
    """Attempts of the action since the run was created or taken up again."""
    undo_attempts: int = 0
    operations: int = 0
    """All operations of the step so far, undos left out: what reports show as attempts."""
    open: OpenOperation | None = None
    began: bool = False
    """An operation of it was intended, and nobody knows that nothing of it was begun."""
    acted: bool = False
    """Its work has succeeded in this run, whatever came after that."""
    awaiting: ReadyAwaited | None = None
    """What that came to, as long as nobody knows whether it is ready."""
    cut_off: tuple[Process, ...] = ()
    """Of operations that nobody saw end, or that were ended: what they held may be held still."""
    hosts: tuple[str, ...] = ()
    """Where operations of it were begun, as `Process.host`."""
    ended: tuple[Process, ...] = ()
    """Of operations whose outcome is known: a lock of theirs may be left all the same."""
    in_doubt: bool = False
    """The last operation's outcome is not known: a crash came between."""
    failure: Failure | None = None
    undo_failure: Failure | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    unobserved: bool = False
    """An operation went on with nobody to listen: `resources` may lack what it touched."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Masked: a secret is `[secret]`. They are shown, and never used."""
    sealed: str = ""
    """What they are, where they are masked: see `OperationSucceeded`."""
    hidden: tuple[str, ...] = ()
    """What some of `resources` are called, where their names show a mask: see `uncover`."""
    leftovers: tuple[Leftover, ...] = ()
    keeps: tuple[Leftover, ...] = ()
    """What a destroy leaves by the resources' own options, known before it ran."""
    how: str = ""
    """Of a compensated step: destroyed, unchanged, called, nothing, restored."""
    renewed: tuple[ResourceChange, ...] = ()
    """What a restore has made again: each with its new id."""
    warnings: tuple[str, ...] = ()
    """What its last operation has found that is hardly what was meant."""
    fingerprint: str = ""
    """Of the stack as this run's last operation left it; empty where nobody looked."""
    given: str = ""
    """What has decided what it made: see `OperationSucceeded`."""
    unchanged_since: str = ""
    """The run that has done it, where this one has left it alone."""
    destroyed: bool = False
    """A destroy of this run has succeeded, and the state was seen empty after it."""
    approval: Approval | None = None
    """Of an approval: what was asked last, and the answer, where there is one."""
    waits: bool = False
    """This runner has asked for the approval: it has nothing more to do at this step."""
    children: Mapping[str, Child] = field(default_factory=dict)
    """By item: the last run of each saga that is this step; the item is empty where it is one."""
    retained: bool = False
    skipped: bool = False
    """An operator let the undo go past it."""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The step's name."""
        return self.definition.name


class RunStatus(Struct, kw_only=True):
    """One run, folded from its events. An empty fold is PENDING and has no id."""

    run: str = ""
    kind: RunKind = "up"
    accepted: Definition | None = None
    """The definition as it was accepted last; None before RunCreated."""
    state: SagaState = SagaState.PENDING
    direction: Direction = "forward"
    steps: dict[str, StepStatus] = field(default_factory=dict)
    epoch: int = 0
    seq: int = 0
    interrupts: int = 0
    """Signals that the current runner got."""
    suspended: bool = False
    """The last runner stopped in order before the end (see also: no live lease)."""
    failed_step: str = ""
    reason: str = ""
    leftovers: tuple[Leftover, ...] = ()
    backend: str = ""
    origin: str = ""
    directory: str = ""
    """The working directory of who started it; empty if unknown."""
    remove_records: bool = False
    snapshot: str = ""
    """restore runs only: digest of the deployment that is brought back."""
    sealed: str = ""
    """The secrets that its saga was given: see `RunCreated`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Masked: what its saga's function was called with; and what was said over its file."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    """The version that it was started under; empty if unknown."""
    parent: Parent | None = None
    """The run that it is a part of."""
    notify: tuple[Notifier, ...] = ()
    """Who is told of it."""
    localstack: str = ""
    """The session of the LocalStack that it was started on, if there was one that told."""
    notes: tuple[str, ...] = ()
    """What was seen before its first step, or when it was taken up again."""
    changed: bool = False
    """Whether steps are left alone that are as their last run has left them."""
    repairs: Mapping[str, str] = field(default_factory=dict)
    """See `RunCreated`."""
    left_out: tuple[str, ...] = ()
    """Steps of the saga that were not selected: the definition does not have them."""
    expiry: Expiry | None = None
    """When what is there may be taken down, as was said last; None where nobody has."""
    reaps: str = ""
    """Of a destroy: the run of which the time was over."""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    heard_at: datetime | None = None
    """When its last event was written, by its runner's clock."""
    runner: Process | None = None
    """The last process that drove it."""
    workflow: Workflow | None = None
    """Of Temporal, where that drove it last."""
    gone: frozenset[str] = frozenset()
    """Hosts (`Process.host`) that are gone, by an operator's word or by their own."""
    ready_set: ReadySet | None = None
    """Of `alma.core.decide.decide`, from its first call on; `apply` keeps it up."""

    @property
    def word(self) -> str:
        """Its id as a shell takes it for one word, whoever has written it."""
        import shlex  # only where a way out is told

        return shlex.quote(self.run)

    @property
    def definition(self) -> Definition:
        """The definition; `LookupError` before RunCreated."""
        if self.accepted is None:
            raise LookupError("this run has no definition: its first event is missing")
        return self.accepted

    @property
    def served(self) -> Workflow | None:
        """The workflow whose it is to go on: nobody else does, until it has stopped in order."""
        return None if self.suspended or self.state.is_final else self.workflow

    @property
    def backward_only(self) -> bool:
        """Whether it goes back from its first event, over all its steps: a destroy, a restore."""
        return self.kind != "up"

    @property
    def is_whole(self) -> bool:
        """Whether it is about all steps that its saga had."""
        return self.kind != "restore" and not self.left_out

    def drifted(self, step: str) -> str:
        """What of the step is to be brought back, itself or within it; empty for nothing."""
        found = (why for path, why in self.repairs.items() if path.partition("/")[0] == step)
        return next(found, "")

    @property
    def expires_at(self) -> datetime | None:
        """When what it has brought up may be taken down; None for never."""
        return self.expiry.moment if self.expiry else None

    @property
    def past_pivot(self) -> bool:
        """Whether a step of no return has completed: from there the run only goes forward."""
        return self.kind == "up" and any(
            step.definition.pivot and step.state is SagaState.COMPLETED
            for step in self.steps.values()
        )

    @property
    def waiting(self) -> tuple[StepStatus, ...]:
        """The approvals that the run waits for: asked, not answered, and not turned back."""
        if self.state is not SagaState.RUNNING or self.direction != "forward":
            return ()
        asked = (step for step in self.steps.values() if step.state is SagaState.RUNNING)
        return tuple(one for one in asked if one.approval and one.approval.answer is None)

    def started(self) -> Iterator[StepStatus]:
        """The steps that may have had an effect."""
        return (step for step in self.steps.values() if step.started is not None)


class ReadySet:
    """Made of a run's state, then told of each step that an event has changed (`update`).

    `ready` are the steps that are not completed and wait for none that is not, as places in
    `order`, ascending; `failed` and `doubtful` the steps that are so, by name.
    """

    def __init__(self, run: RunStatus) -> None:
        plan = run.definition
        self.order = plan.order
        self._plan, self._places = plan, {name: place for place, name in enumerate(self.order)}
        self._missing = {step.name: len(set(step.dependencies)) for step in plan.steps}
        self._completed: set[str] = set()
        self.ready = [place for place, name in enumerate(self.order) if not self._missing[name]]
        self.failed: set[str] = set()
        self.doubtful: set[str] = set()
        for step in run.steps.values():
            self.update(step)

    def update(self, step: StepStatus) -> None:
        """Take in what the step is now."""
        name, completed = step.name, step.state is SagaState.COMPLETED
        if completed is not (name in self._completed):
            self._turn(name, completed=completed)
        _keep(self.failed, name, so=step.state is SagaState.FAILED)
        _keep(self.doubtful, name, so=step.in_doubt and step.open is not None and not step.waits)

    def _turn(self, name: str, *, completed: bool) -> None:
        _keep(self._completed, name, so=completed)
        if not self._missing[name]:
            self._list(name, ready=not completed)
        for dependent in self._plan.dependents(name):
            before = self._missing[dependent]
            self._missing[dependent] = after = before - 1 if completed else before + 1
            if not (before and after) and dependent not in self._completed:
                self._list(dependent, ready=not after)

    def _list(self, name: str, *, ready: bool) -> None:
        place = self._places[name]
        if ready:
            insort(self.ready, place)
        else:
            del self.ready[bisect_left(self.ready, place)]


def _keep(names: set[str], name: str, *, so: bool) -> None:
    if so:
        names.add(name)
    else:
        names.discard(name)
