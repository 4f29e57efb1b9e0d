"""The one Protocol behind every kind of step, and what passes through it.

A handler does nothing to the world but inside `call.perform`: the runner's, which commits the
intent before the work is begun and the outcome after it. The handlers of a run stand in a plain
dict by step name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from msgspec import Struct, field

from alma.core.definition import StepDefinition
from alma.core.events import Failure, Leftover, OperationKind, ResourceChange, RunKind, StepStarted
from alma.core.operation import Context, Difference, Operation, Reconciled
from alma.core.run import OpenOperation, RunStatus, StepStatus
from alma.errors import AlmaError
from alma.steps.nested import Asking, Nested
from alma.system.environment import flags_in

if TYPE_CHECKING:
    from alma.pulumi.engine import Engine
    from alma.pulumi.snapshots import SnapshotPlace


class Outcome(Struct, frozen=True, kw_only=True):
    """How a piece of work ended. `failure` is None exactly when it succeeded, and was verified.

    `outputs` hold `Secret`s; `leftovers` are what a failed undo still sees.
    """

    failure: Failure | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()
    began: bool = True
    """False only where it is certain that nothing was touched: then there is nothing to undo."""
    trace: str = ""
    """A traceback for the operation's log; the runner redacts it first."""
    cause: BaseException | None = None
    """What a callable raised, to be chained to SagaFailed."""

    @classmethod
    def raised(cls, error: BaseException) -> Outcome:
        """Of work that raised: whatever it is, it failed."""
        if isinstance(error, AlmaError):
            return cls(failure=Failure(kind="backend", message=error.message, hint=error.hint))
        try:
            words = str(error).strip() or "no message"
        except Exception as another:  # noqa: BLE001 - its own words cannot be had
            words = f"its message cannot be shown ({type(another).__name__})"
        return cls(
            failure=Failure(kind="action", message=f"{type(error).__name__}: {words}"),
            trace=_trace(error),
            cause=error,
        )


def _trace(error: BaseException) -> str:
    import traceback

    try:
        return "".join(traceback.format_exception(error))
    except Exception as another:  # noqa: BLE001 - as its words
        return f"{type(error).__name__}, whose traceback cannot be had ({type(another).__name__})\n"


Way = Literal["destroy", "restore", "retain", "call", "nothing"]

Work = Callable[[Operation], Awaitable[Outcome]]


class Perform(Protocol):
    """Commit the intent, do the work, commit the outcome, return it."""

    async def __call__(
        self, kind: OperationKind, work: Work, *, keeps: tuple[Leftover, ...] = ()
    ) -> Outcome:
        """Raises JournalError when either commit fails: then nobody may go on."""
        ...


class StepContext(Struct, frozen=True, kw_only=True):
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
    asking: Asking
    run: str
    """The id of the run."""
    remove_record: bool = False
    """destroy runs only: the step's record in the backend goes as well."""
    repair: bool = False
    """What is there is looked at first, for it is not as the state says."""
    snapshot: str = ""
    """Digest of the deployment that its stack is put back to; empty: none was kept."""

    def logs(self, operation: Operation) -> str:
        """The directory for what this operation prints; made by whoever writes there."""
        return f"{self.log_dir}/{operation.id}"


class Compensated(Struct, frozen=True, kw_only=True):
    """Verified undone: how, and what was seen."""

    how: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Retained(Struct, frozen=True, kw_only=True):
    """Left as it is, on purpose."""

    reason: str
    leftovers: tuple[Leftover, ...]


class StepPreview(Struct, frozen=True, kw_only=True):
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
    later: bool = False
    """Whether its changes are known only once what it consumes is."""
    held: tuple[ResourceChange, ...] | None = None
    """What stands in its state now; None where it has none, or that cannot be seen."""
    warnings: tuple[str, ...] = ()
    """What is hardly meant so, though nothing fails."""
    within: tuple[str, ...] = ()
    """Of a step that is a saga: what each step of that would do."""


class StateNow(Struct, frozen=True, kw_only=True):
    """A step's state: its `fingerprint` is another one after each change, empty for none.

    `at` is when it was written last (ISO 8601), where that is known.
    """

    fingerprint: str = ""
    at: str = ""


class IncomparableError(Exception):
    """What a step is given holds something of which nobody can tell whether it has changed."""


class SessionOptions(Struct, frozen=True, kw_only=True):
    """What a run gives the kinds of its steps.

    `journal` is its path: a kind may keep beside it what it needs to undo. `snapshots` is where
    deployments go instead, of a journal that several hosts reach. `modules` are those
    that no other process can import. `engine` drives Pulumi, where a test brings its own.
    `runs` gives what the journal knows of others when it is called, newest first: runs of other
    targets, and runs of this one, the one under way among them.
    `directory` is where plain files are meant from. `backend` is where the saga says that Pulumi's
    state goes, `secrets_provider` what encrypts the secrets in it. `last` is the run that has made
    what is there: `follow` it, or refuse what would not be where it is. `before` are those that
    came before it, newest first, back to one that was about all steps: `last` may have left some
    out. `idle`: most steps will be left alone, so nothing is started ahead of what needs it.
    `write`: it is to change something. `skip` are resources, by step and name, that an operator
    lets an undo go past. `nested` makes runs that are a part of this.
    """

    journal: Path
    snapshots: SnapshotPlace | None = None
    modules: tuple[ModuleType, ...] = ()
    engine: Engine | None = None
    runs: Callable[[], Sequence[RunStatus]] = tuple
    directory: str = "."
    backend: str = ""
    secrets_provider: str = ""
    last: RunStatus | None = None
    before: tuple[RunStatus, ...] = ()
    follow: bool = False
    idle: bool = False
    write: bool = False
    skip: tuple[tuple[str, str], ...] = ()
    nested: Nested


class Session:
    """What all steps of one kind share in a run. This one shares nothing."""

    notes: tuple[str, ...] = ()
    """What `check` has seen that who reads of the run should know."""

    async def check(self) -> Mapping[str, str]:
        """Refuse what cannot end well, before anything is touched; facts for the journal."""
        return {}

    def settled(self, step: StepDefinition) -> StepDefinition:
        """The step as it is done here: with what only this run's environment decides."""
        return step


class Check(Struct, frozen=True, kw_only=True):
    """One thing that `doctor` has looked at. `mend` says what to do, empty when all is well."""

    name: str
    level: Literal["ok", "warn", "fail"]
    message: str
    mend: str = ""

    @classmethod
    def missing(cls, name: str, words: str, mend: str) -> Check:
        """Of what only steps of one kind need."""
        message = f"{words.rstrip('.')}; only steps of that kind need it"
        return cls(name=name, level="warn", message=message, mend=mend)

    @classmethod
    def flags(cls, tool: str, environ: Mapping[str, str], *families: str) -> Sequence[Check]:
        """Of variables that would be flags of a tool, and are not passed on to it."""
        names = flags_in(environ, *families)
        if not names:
            return ()
        message = f"{', '.join(names)}: flags by environment, which {tool} is not given"
        mend = "Unset them, or say what you want in the saga"
        return (cls(name="environment", level="warn", message=message, mend=mend),)


class DoctorOptions(Struct, frozen=True, kw_only=True):
    """What `doctor` looks at: here and now, and the last run of each target that nobody runs.

    With `remote` it may ask what the journal names on other machines.
    """

    environ: Mapping[str, str]
    cwd: Path
    journal: Path
    runs: tuple[RunStatus, ...] = ()
    remote: bool = False


@runtime_checkable
class SeesDrift(Protocol):
    """A handler of a kind that can tell what is not as its step wants it."""

    async def drift(
        self, call: StepContext, operation: Operation
    ) -> tuple[tuple[ResourceChange, ...], Failure | None]:
        """What would be changed, seen after a refresh; or why that cannot be told."""
        ...


class StepHandler(Protocol):
    """One kind of step: what does a step, and what undoes it.

    `execute` and `compensate` each kind has; for the rest there is an answer here, which is that
    of a step of which nothing can be seen from outside. Inherit from this class to have it.
    """

    name: str

    inputs: Mapping[str, Any]
    """The step's inputs as written: values and `Output` references."""

    digest: str
    """Of what the step does, for the definition's digest."""

    lacks: str
    """Why it cannot undo the step without the saga's file, as a sentence; empty: it can."""

    keeps_outputs: ClassVar[bool] = False
    """Whether its outputs can be read again where it keeps them, secret ones too."""

    async def require(self) -> None:
        """Refuse, with an AlmaError, what can be seen to keep the step from being done or undone.

        Called for each step of a run that may be, before anything is touched.
        """
        return

    async def inspect(self) -> StepStarted:
        """What is there before the first operation; touches nothing."""
        return StepStarted(step=self.name)

    async def existed(self, call: StepContext) -> tuple[str, ...]:  # noqa: ARG002
        """Digests of what is there that the step may take over; asked before its first operation.

        Raises an AlmaError when that cannot be told: then nothing is begun.
        """
        return ()

    async def execute(self, call: StepContext) -> None:
        """Go forward: one operation, its outcome recorded by `call.perform`."""
        ...

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Undo and verify. None when it failed: then the failure is already recorded."""
        ...

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:  # noqa: ARG002
        """The step's outputs with opened secrets, from where it keeps them; empty if nowhere."""
        return {}

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Name what exists of this step now; empty when it is seen that nothing does."""
        return status.leftovers or (Leftover(step=self.name, reason=reason),)

    async def state_now(self) -> StateNow:
        """Its state as it is now; the cheapest look that there is."""
        return StateNow()

    def given(self, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:  # noqa: ARG002
        """All that decides what it makes, beside its `digest`: JSON by what a person calls it.

        None where it has no state to be compared with: such a step is never left alone.
        """
        return None

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:  # noqa: ARG002
        """What `execute` would change and how it would be undone; touches nothing.

        `inputs` is None when they are known only once other steps have run.
        """
        return StepPreview(what="its action", undo="its compensation", undoable=True)

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:  # noqa: ARG002
        """Outputs as they are now, those of `names` with opened secrets; empty if unknown."""
        return {}

    async def reconcile(self, operation: OpenOperation) -> Reconciled:  # noqa: ARG002
        """Wait until nothing works for this operation in doubt any more."""
        return Reconciled(found="the process that ran it is gone; it is done again")
