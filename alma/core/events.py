"""The closed set of events of a run, frozen and in the past tense.

An event says what is about to happen (`OperationIntended`) or what has happened (all others).
The journal wraps each in a `Recorded`: who wrote it, when, at which place. No event ever holds
a secret value in plain: outputs are masked before they come here, and kept beside it sealed.

`gc=False`: events are trees, and a walk over 100,000 of them takes longer than to read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import UNSET, UnsetType, field

# Whoever has the events has what they are made of: it is one vocabulary.
from alma.core.approval import ApprovalAnswered as ApprovalAnswered
from alma.core.approval import ApprovalAsked as ApprovalAsked
from alma.core.event import Event as Event
from alma.core.event import Recorded as Recorded
from alma.core.event_parts import DELETING as DELETING
from alma.core.event_parts import DOUBTFUL as DOUBTFUL
from alma.core.event_parts import IMPORTED as IMPORTED
from alma.core.event_parts import IN_DOUBT as IN_DOUBT
from alma.core.event_parts import UNANSWERED as UNANSWERED
from alma.core.event_parts import UNREADABLE as UNREADABLE
from alma.core.event_parts import UPDATING as UPDATING
from alma.core.event_parts import Failure as Failure
from alma.core.event_parts import Leftover as Leftover
from alma.core.event_parts import LogEnd as LogEnd
from alma.core.event_parts import Notifier as Notifier
from alma.core.event_parts import Parent as Parent
from alma.core.event_parts import Process as Process
from alma.core.event_parts import ResourceChange as ResourceChange
from alma.core.event_parts import Workflow as Workflow
from alma.core.words import Expiry as Expiry
from alma.core.words import HostDeclaredGone as HostDeclaredGone
from alma.core.words import RunAbandoned as RunAbandoned
from alma.core.words import RunExtended as RunExtended
from alma.core.words import StepSkipped as StepSkipped

Direction = Literal["forward", "back"]
RunKind = Literal["up", "destroy", "restore"]
NOT_RETRIED: Final = ("cancelled", "passphrase", "pending", "refused", "unready")
"""Kinds of failure that another attempt cannot mend: we asked for it, or a person must act."""

OperationKind = Literal["up", "destroy", "restore", "action", "compensation", "mend", "remove"]


class RunCreated(Event, frozen=True, kw_only=True, gc=False):
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
    directory: str | UnsetType = UNSET
    """The working directory of who started it; a journal of version 0.1 does not have it."""
    sealed: str | UnsetType = UNSET
    """The secrets that the saga was given, under the journal's key, if it has any."""
    notes: tuple[str, ...] | UnsetType = UNSET
    """What was seen before the first step that who reads of the run should know."""
    parameters: Mapping[str, Any] | UnsetType = UNSET
    """What its saga's function was called with, masked; `sealed` has what the masks hide."""
    overrides: Mapping[str, str] | UnsetType = UNSET
    """What was said over what the saga's file says of itself: `stack`, `organization`."""
    changed: bool | UnsetType = UNSET
    repairs: Mapping[str, str] | UnsetType = UNSET
    """Whether steps are left alone that are as they were left; and what, by step, has drifted."""
    left_out: tuple[str, ...] | UnsetType = UNSET
    """Steps of the saga that were not selected: they are not in `definition`, nor in this run."""
    parent: Parent | UnsetType = UNSET
    """The run that has begun this one, and undoes it when it turns back."""
    expiry: Expiry | UnsetType = UNSET
    """Of what an up run brings up, where that has one."""
    reaps: str | UnsetType = UNSET
    """destroy runs only: the run of which the time was over."""
    notify: tuple[Notifier, ...] | UnsetType = UNSET  # who is told of it
    step: str = ""


class RunnerAttached(Event, frozen=True, kw_only=True, gc=False):
    """A process took the lease and drives the run from here."""

    process: Process
    actor: str
    workflow: Workflow | UnsetType = UNSET
    """Of Temporal, where that drives it: `process` has only taken the lease for it."""
    step: str = ""


class RunResumed(Event, frozen=True, kw_only=True, gc=False):
    """Somebody asked for the run to go on, in this direction."""

    direction: Direction
    actor: str
    definition: Mapping[str, Any] | None = None
    """The accepted new definition, when it had changed; else None."""
    sealed: str | UnsetType = UNSET
    notes: tuple[str, ...] | UnsetType = UNSET
    notify: tuple[Notifier, ...] | UnsetType = UNSET
    """All as of RunCreated, `sealed` and `notify` where the saga was given again."""
    reason: str | UnsetType = UNSET
    """Why, where somebody has said it."""
    expiry: Expiry | UnsetType = UNSET
    """As of RunCreated, where it was said anew."""
    step: str = ""


class InterruptReceived(Event, frozen=True, kw_only=True, gc=False):
    """The runner got a signal. `count` 1: drain, then the failure policy; 2: stop now."""

    signal: str
    count: int
    step: str = ""


class StepStarted(Event, frozen=True, kw_only=True, gc=False):
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
    existed: tuple[str, ...] | UnsetType = UNSET
    """Digests of the ids that the step's `existed` saw there already."""
    why: str | UnsetType = UNSET
    """Of a run with `changed`: what is not as it was."""


class ChildStarted(Event, frozen=True, kw_only=True, gc=False):
    """A run of another saga is about to begin as this step, or as one `item` of it."""

    step: str
    run: str
    target: str
    item: str = ""


class OperationIntended(Event, frozen=True, kw_only=True, gc=False):
    """About to happen: committed before anything outside is touched."""

    step: str
    operation: str
    kind: OperationKind
    attempt: int = 1
    log: str = ""
    keeps: tuple[Leftover, ...] = ()
    """Of a destroy: resources that it will leave behind by an option of their own."""
    by: Process | UnsetType = UNSET
    """The worker that does it, of a run that many drive."""


LOOKS: Final = "ready"
"""The role of a process that only looks."""


class ProcessSpawned(Event, frozen=True, kw_only=True, gc=False):
    """A process of this operation: role `worker`, `cli` (Pulumi, Terraform, ...), or `LOOKS`."""

    step: str
    operation: str
    role: str
    process: Process


class SignalSent(Event, frozen=True, kw_only=True, gc=False):
    """alma signalled an operation's process: why is `interrupt` or `deadline`."""

    step: str
    operation: str
    signal: str
    why: str


class ReadyAwaited(Event, frozen=True, kw_only=True, gc=False):
    """The work of a step is done, and whether it is `ready` is asked from here.

    It is as OperationSucceeded, which follows where that holds; where it does not, OperationFailed.
    A run that goes on from here asks again, and does not do the work again.
    """

    step: str
    operation: str
    kind: OperationKind
    seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    hidden: str | UnsetType = UNSET
    outputs: Mapping[str, Any] = field(default_factory=dict)
    sealed: str | UnsetType = UNSET
    evidence: Mapping[str, Any] = field(default_factory=dict)
    given: str | UnsetType = UNSET


class OperationSucceeded(Event, frozen=True, kw_only=True, gc=False):
    """Done, and for an undo: verified. `outputs` are masked; `evidence` is what was read.

    Of a step that was left alone it has no intent, and no `operation`: `unchanged_since` of its
    evidence is the run that has done it.

    Where a mask, or a digest in place of a large value, stands in `outputs`, `sealed` is what they
    are, under the journal's key: what is used is always the true value.
    """

    step: str
    operation: str
    kind: OperationKind
    seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    hidden: str | UnsetType = UNSET
    """Where a secret is masked in the names of `resources` that are used again: those, sealed."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    sealed: str | UnsetType = UNSET
    evidence: Mapping[str, Any] = field(default_factory=dict)
    given: str | UnsetType = UNSET
    """Digests of all that has decided what it made, sealed, to tell later what has changed."""


class ValuesResealed(Event, frozen=True, kw_only=True, gc=False):
    """An operator has changed the journal's key: what this run keeps sealed, under the new one."""

    sealed: str | UnsetType = UNSET
    outputs: Mapping[str, str] = field(default_factory=dict)
    """As of RunCreated, and by step as of OperationSucceeded."""
    hidden: Mapping[str, tuple[str, ...]] | UnsetType = UNSET  # by step, in their order
    step: str = ""


class OperationFailed(Event, frozen=True, kw_only=True, gc=False):
    """It did not succeed; for an undo `leftovers` is what the state still shows."""

    step: str
    operation: str
    kind: OperationKind
    failure: Failure
    seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    hidden: str | UnsetType = UNSET
    """As of OperationSucceeded."""
    leftovers: tuple[Leftover, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What was read afterwards, such as the `fingerprint` of what the operation left."""
    began: bool | UnsetType = UNSET
    """False where it is known that nothing was begun: then there is nothing to undo."""


class OperationLeftInDoubt(Event, frozen=True, kw_only=True, gc=False):
    """The runner stopped, or lost sight of it, before the outcome was known."""

    step: str
    operation: str
    reason: str
    waits: bool | UnsetType = UNSET
    """Nothing is under way: a run that is a part of it waits for an approval."""


class OperationReconciled(Event, frozen=True, kw_only=True, gc=False):
    """What was found about an operation in doubt; it is repeated after this."""

    step: str
    operation: str
    found: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    hidden: str | UnsetType = UNSET
    """As of OperationSucceeded: of what the evidence says was being created, or taken in."""
    by: Process | UnsetType = UNSET
    """The worker that found it, of a run that many drive."""


class CompensationStarted(Event, frozen=True, kw_only=True, gc=False):
    """The run turned back: everything that started is undone from here."""

    reason: str
    failed_step: str = ""
    step: str = ""


class StepCompensated(Event, frozen=True, kw_only=True, gc=False):
    """Verified undone. `how`: destroyed, unchanged, called, nothing, or restored."""

    step: str
    how: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class StepRetained(Event, frozen=True, kw_only=True, gc=False):
    """Left as it is on purpose, so it is not undone: what is left, and why."""

    step: str
    reason: str
    leftovers: tuple[Leftover, ...] = ()


class RunCompleted(Event, frozen=True, kw_only=True, gc=False):
    """Every step succeeded."""

    step: str = ""


class RunCompensated(Event, frozen=True, kw_only=True, gc=False):
    """Everything that this run did is verified undone."""

    step: str = ""


class RunFailed(Event, frozen=True, kw_only=True, gc=False):
    """The run ended with something left; every leftover is here."""

    reason: str
    leftovers: tuple[Leftover, ...] = ()
    step: str = ""


class RunInterrupted(Event, frozen=True, kw_only=True, gc=False):
    """The runner stopped in order, before the end: resumable."""

    reason: str
    step: str = ""
