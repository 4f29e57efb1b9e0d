"""What the rest of alma sees of Pulumi: plain data and one Protocol. Imports no pulumi.

`alma.pulumi.local.PulumiEngine` is the real one; `alma.testing.FakeEngine` the public fake.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from alma.core.drift import ResourceDrift
from alma.core.event_parts import NONE_GONE, Gone
from alma.core.events import Failure, Process, ResourceChange
from alma.core.operation import Difference, Operation, Reconciled
from alma.core.validation import check_name


class WorkspaceOptions(Struct, frozen=True, kw_only=True):
    """What a user's `LocalWorkspaceOptions` say of a stack, as plain data.

    `env` is for all that works on the stack, and may hold secrets; `project` goes into alma's
    Pulumi.yaml, `settings` under what alma writes into the stack's settings file.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    secrets_provider: str = ""
    project: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"WorkspaceOptions(env={sorted(self.env)})"


class StackRef(Struct, frozen=True, kw_only=True):
    """One Pulumi stack. `work_dir` is the user's project directory, or empty: inline program.

    `backend` is the absolute URL of a backend of its own; empty: the one of the whole run.
    `organization` is whose it is in Pulumi Cloud; empty: as the backend has it.

    The last guard before a name reaches the CLI, where `--help` and `..` would be obeyed: raises
    `DefinitionError` for a project or stack name that no process may be given.
    """

    project: str
    stack: str
    work_dir: str = ""
    options: WorkspaceOptions = field(default_factory=WorkspaceOptions)
    backend: str = ""
    organization: str = ""

    def __post_init__(self) -> None:
        check_name("project", self.project)
        check_name("stack", self.stack)
        if self.organization:
            check_name("organization", self.organization)

    @property
    def qualified(self) -> str:
        """As the CLI is given it: `organization/project/stack`, or the stack's name alone."""
        if not self.organization:
            return self.stack
        return f"{self.organization}/{self.project}/{self.stack}"


class Resource(Struct, frozen=True, kw_only=True):
    """A resource as a stack's state holds it; `id` is the provider's physical id."""

    urn: str
    type: str
    id: str = ""
    custom: bool = True
    protect: bool = False
    external: bool = False
    """Only read by the program, not owned by the stack: a destroy does not delete it."""
    retain_on_delete: bool = False
    pending_replacement: bool = False
    """It is deleted already, and was to be made anew."""


class PendingOperation(Struct, frozen=True, kw_only=True):
    """An operation that was under way when the CLI last wrote the state: creating, ...

    `inputs` are what the resource was to be made of, with a sealed `Secret` for ciphertext.
    """

    urn: str
    kind: str
    id: str = ""
    type: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The resource's name in its program, which may hold `::` itself."""
        return self.urn.split("::", 3)[-1]


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A stack's state as read. `exists` is False when the backend has no record of it.

    `resources` leaves out the root `pulumi:pulumi:Stack`. `outputs` hold a sealed `Secret`
    wherever the state holds ciphertext. `fingerprint` changes when resources, their inputs or
    outputs, or pending operations change.
    """

    exists: bool
    resources: tuple[Resource, ...] = ()
    pending: tuple[PendingOperation, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    at: str = ""
    """When it was written (ISO 8601), as it says itself."""
    delete_hooks: tuple[str, ...] = ()
    """Names of hooks that run when its resources are deleted: they stand in its program alone."""

    @property
    def is_empty(self) -> bool:
        """No resources and no pending operations: what a verified undo must show."""
        return not self.resources and not self.pending

    @property
    def held(self) -> int:
        """How much there is to put back: outputs count as one thing where there is nothing else."""
        return len(self.resources) + len(self.pending) or min(1, len(self.outputs))


class UpRequest(Struct, frozen=True, kw_only=True):
    """Bring a stack up. Exactly one of `program` (shipped) and `ref.work_dir` is set.

    `config` maps a key (with or without namespace) to a JSON value or a `Secret`. `defaults` are
    JSON values by full key, for what neither `config` nor the user's project says. `create`
    says that the record was not there when last looked at: the engine makes it first. `refresh`
    looks at what is there by now, and not only at the state.
    """

    ref: StackRef
    program: bytes | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    create: bool = False
    refresh: bool = False
    log_dir: str


class OperationResult(Struct, frozen=True, kw_only=True):
    """How an operation ended. `failure` is None exactly when it succeeded.

    `outputs` come from the state, with a sealed `Secret` for ciphertext (up only).
    """

    failure: Failure | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    resources: tuple[ResourceChange, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    """By URN, what the engine or a provider said of what failed."""
    lasting: Mapping[str, str] = field(default_factory=dict)
    """By URN of what it made, the option by which a destroy leaves it: protect, retainOnDelete."""
    nulls: tuple[str, ...] = ()
    """Outputs of an inline program that are null: no state has them."""
    warnings: tuple[str, ...] = ()
    """What an inline program has done that is hardly what was meant."""
    fingerprint: str = ""
    """Of the stack as it was read afterwards (a successful up only); else empty."""
    began: bool = True
    """False where somebody else's lock refused it before the engine was started."""
    drifted: tuple[ResourceDrift, ...] = ()
    """Of a look for drift: what is not as the state has it; and the URNs that were answered."""
    asked: tuple[str, ...] = ()


class RestoreRequest(Struct, frozen=True, kw_only=True):
    """Bring a stack back to a deployment that `Engine.export` gave earlier."""

    ref: StackRef
    document: Mapping[str, Any]
    log_dir: str
    python: str = ""
    """The minor version of Python that it was made by, where that is known."""


class RestoreResult(OperationResult, frozen=True, kw_only=True):
    """How a restore ended, judged by the state that was read afterwards.

    `different` is what could not be put back, with why; `recreated` was deleted meanwhile and is
    there again with a new id.
    """

    recreated: tuple[Difference, ...] = ()
    different: tuple[Difference, ...] = ()


class RestorePreview(Struct, frozen=True, kw_only=True):
    """What a restore would change, each named once, and what it could not put back, with why.

    `renewed` would be made again: with a new id, and without what it held.
    """

    updated: tuple[Difference, ...] = ()
    deleted: tuple[Difference, ...] = ()
    renewed: tuple[Difference, ...] = ()
    unlike: tuple[Difference, ...] = ()


class Engine(Protocol):
    """Pulumi, as alma needs it. Operations report failure in their result.

    Only the inability to look raises: `ToolError`, `BackendError`, `AuthenticationError`.
    """

    async def check(
        self, refs: Sequence[StackRef] = (), *, write: bool = False
    ) -> Mapping[str, str]:
        """Make sure that the CLI, the backend and the passphrase work for these stacks.

        With `write` also that the backend can be written to, by something that is gone again.
        Returns versions, and as `backend` the URL of the backend of those that have none of
        their own.
        """
        ...

    def where(self, ref: StackRef) -> str:
        """The URL of the backend that keeps this stack's state, as anybody may see it."""
        ...

    async def inspect(self, ref: StackRef) -> Checkpoint:
        """Read a stack's state, as it is now."""
        ...

    async def holder(self, ref: StackRef) -> str:
        """Who holds the stack's lock and is not proven dead, in words; empty when nobody is.

        A lock that a dead process of the journal's own has left is removed.
        """
        ...

    async def reveal(self, ref: StackRef) -> Mapping[str, Any]:
        """The stack's outputs with opened `Secret`s: decrypts, so it costs a CLI process."""
        ...

    async def compiled(self, ref: StackRef) -> tuple[str, ...]:
        """Names of resources whose provider is kept in the state as code of one Python minor."""
        ...

    async def up(self, request: UpRequest, operation: Operation) -> OperationResult:
        """Create the record if needed, then `pulumi up`."""
        ...

    async def preview(self, request: UpRequest, operation: Operation) -> OperationResult:
        """What `up` would change; touches nothing, not even the stack's record."""
        ...

    async def drift(self, ref: StackRef, operation: Operation) -> OperationResult:
        """What its resources are by now, beside what the state says, which needs no program.

        Touches nothing and takes no lock.
        """
        ...

    async def destroy(
        self,
        ref: StackRef,
        log_dir: str,
        operation: Operation,
        program: UpRequest | None = None,
    ) -> OperationResult:
        """`pulumi destroy` from the state alone; keeps the record.

        With `program`, a request such as for `up`, that is run: for the hooks that it registers.
        """
        ...

    async def remove(self, ref: StackRef, log_dir: str, operation: Operation) -> OperationResult:
        """`pulumi stack rm`; a record that is already gone is success."""
        ...

    async def export(self, ref: StackRef) -> Mapping[str, Any] | None:
        """The deployment as it stands, as a document of JSON; secrets stay encrypted in it."""
        ...

    async def restore(self, request: RestoreRequest, operation: Operation) -> RestoreResult:
        """Bring the stack back, by an `up` that registers the old resources again.

        Raises as the rest does when it cannot look, and `AuthenticationError` when what is
        encrypted in the document cannot be decrypted any more: then nothing was done.
        """
        ...

    async def preview_restore(
        self, request: RestoreRequest, operation: Operation
    ) -> RestorePreview:
        """What `restore` would do now; touches nothing. Raises as `restore` does."""
        ...

    async def resolve_pending(
        self, ref: StackRef, found: Mapping[str, str], operation: Operation
    ) -> None:
        """Resolve every pending create: URN to physical id; those not in `found` never happened.

        The CLI that writes the state works for `operation`, and begins once that is told of it.
        Raises `BackendError` when the state cannot be exported or imported.
        """
        ...

    async def let_go(
        self, ref: StackRef, taken: Collection[tuple[str, str]], operation: Operation
    ) -> None:
        """Have the state let these go when they are deleted from it, by URN and id.

        Raises as `resolve_pending` does.
        """
        ...

    async def reconcile(
        self, ref: StackRef, operation: str, processes: tuple[Process, ...], gone: Gone = NONE_GONE
    ) -> Reconciled:
        """Wait for what still works for this operation; break a lock whose holder is dead.

        What is `gone` is dead, though it was elsewhere.
        """
        ...

    async def close(self) -> None:
        """End the workers."""
        ...
