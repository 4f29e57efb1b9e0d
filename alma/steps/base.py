"""The one Protocol behind every kind of step, and what passes through it.

A handler does nothing to the world but inside `call.perform`: the runner's, which commits the
intent before the work is begun and the outcome after it. The handlers of a run stand in a plain
dict by step name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from alma.core.events import Failure, Leftover, OperationKind, ResourceChange, RunKind, StepStarted
from alma.core.operation import Context, Difference, Operation, Reconciled
from alma.core.run import OpenOperation, StepStatus
from alma.core.struct import Frozen, field


class Outcome(Frozen):
    """How a piece of work ended. `failure` is None exactly when it succeeded, and was verified.

    `outputs` hold `Secret`s; `leftovers` are what a failed undo still sees.
    """

    failure: Failure | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()
    trace: str = ""
    """A traceback for the operation's log; the runner redacts it first."""
    cause: BaseException | None = None
    """What a callable raised, to be chained to SagaFailed."""


Way = Literal["destroy", "restore", "retain", "call", "nothing"]

Work = Callable[[Operation], Awaitable[Outcome]]


class Perform(Protocol):
    """Commit the intent, do the work, commit the outcome, return it."""

    async def __call__(
        self, kind: OperationKind, work: Work, *, keeps: tuple[Leftover, ...] = ()
    ) -> Outcome:
        """Raises JournalError when either commit fails: then nobody may go on."""
        ...


class StepContext(Frozen):
    """One turn of one step: what the handler needs to do or to undo.

    `inputs` resolves the step's inputs, secrets as opened `Secret`s; `context` makes the
    argument of a callable from them.
    """

    kind: RunKind
    status: StepStatus
    perform: Perform
    inputs: Callable[[], Awaitable[Mapping[str, Any]]]
    context: Callable[[str, Mapping[str, Any]], Context]
    log_dir: str
    remove_record: bool = False
    """destroy runs only: the step's record in the backend goes as well."""
    snapshot: str = ""
    """Digest of the deployment that its stack is put back to; empty: none was kept."""

    def logs(self, operation: Operation) -> str:
        """The directory for what this operation prints; made by whoever writes there."""
        return f"{self.log_dir}/{operation.id}"


class Compensated(Frozen):
    """Verified undone: how, and what was seen."""

    how: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Retained(Frozen):
    """Left as it is, on purpose."""

    reason: str
    leftovers: tuple[Leftover, ...]


class StepPreview(Frozen):
    """What would happen to a step. `changes` is None when that cannot be known yet."""

    what: str
    undo: str
    undoable: bool
    changes: Mapping[str, int] | None = None
    resources: tuple[ResourceChange, ...] = ()
    failure: Failure | None = None
    way: Way | None = None
    """How it would be undone, where that is neither by a call of its own nor not at all."""
    at_risk: tuple[Difference, ...] = ()
    """What an undo would not bring back as it is now, or would leave behind, with why."""


class StepHandler(Protocol):
    """One kind of step."""

    digest: str
    """Of what the step does, for the definition's digest."""

    inputs: Mapping[str, Any]
    """The step's inputs as written: values and `Output` references."""

    async def inspect(self) -> StepStarted:
        """What is there before the first operation; touches nothing."""
        ...

    async def execute(self, call: StepContext) -> None:
        """Go forward: one operation, its outcome recorded by `call.perform`."""
        ...

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Undo and verify. None when it failed: then the failure is already recorded."""
        ...

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:
        """The step's outputs with opened secrets, after it has completed."""
        ...

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Name what exists of this step now; empty when it is seen that nothing does."""
        ...

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        """What `act` would change and how it would be undone; touches nothing.

        `inputs` is None when they are known only once other steps have run.
        """
        ...

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:
        """Outputs as they are now, those of `names` with opened secrets; empty if unknown."""
        ...

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        """Wait until nothing works for this operation in doubt any more."""
        ...
