"""A step that is a Terraform root module: applied, destroyed, and judged by its state alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from alma.core.events import DOUBTFUL, Failure, Leftover, Process, ResourceChange, StepStarted
from alma.core.operation import Operation, Reconciled
from alma.core.redaction import mark_secrets
from alma.core.run import OpenOperation, StepStatus
from alma.core.secret import secrets_in
from alma.steps.base import Compensated, Outcome, Retained, StepContext, StepPreview, Way
from alma.steps.callables import call_compensation
from alma.steps.terraform.cli import PROGRAMS, CommandResult, UninitialisedError, clean
from alma.steps.terraform.doubts import cut_off, lost, unlogged, unresolved, unseen
from alma.steps.terraform.seen import SeenModule
from alma.steps.terraform.state import CutOff, State, no_cut_off
from alma.steps.terraform.taking import imported, let_go, to_import
from alma.system.programs import ProgramRunner, wait_for
from alma.system.scratch import scratch


@dataclass(kw_only=True)
class TerraformHandler(SeenModule):
    """`inputs` are all values of its variables, literal ones too."""

    name: str
    owned: Callable[[State], Awaitable[None]] | None = None
    """Raises RefusedError where the state is another saga's."""
    cut_off: Callable[[], CutOff] = no_cut_off
    """The processes of Terraform that the journal saw no end of, when it is called."""
    compensation: str | Callable[..., Any] = "destroy"
    digest: str = ""
    lacks: str = ""
    keeps_outputs: ClassVar[bool] = True
    _killed: list[Process] = field(default_factory=list)

    async def require(self) -> None:
        """Its CLI is here, and can be given its variables."""
        self.terraform.require()

    async def inspect(self) -> StepStarted:
        """Read the state; the backend is initialised where it never was."""
        state = await self.terraform.state()
        if self.owned is not None:
            await self.owned(state)
        return StepStarted(
            step=self.name,
            record_existed=bool(state.lineage),
            held=len(state.instances),
            fingerprint=state.fingerprint,
        )

    async def existed(self, call: StepContext) -> tuple[str, ...]:  # noqa: ARG002 - one Protocol
        """Its configuration says what it imports, and it takes over nothing else."""
        return ()

    async def execute(self, call: StepContext) -> None:
        """`apply`, then the outputs."""

        async def up(operation: Operation) -> Outcome:
            doubtful = cut_off(call.status, await self.terraform.state())
            if doubtful:
                return Outcome(failure=unresolved(doubtful))
            programs = ProgramRunner(operation)
            ended = await self._operate("apply", call, operation, programs)
            # A signal that came when all was done has stopped nothing.
            failure = None if ended.ok else programs.failure() or _failure(ended)
            outputs = {} if failure else await self._outputs(call)
            account, state = ended.account, await self.terraform.state()
            lost = account.unrecorded(state.addresses)
            if lost:
                # Trying again could make it a second time.
                words = failure.message if failure else "apply succeeded"
                words = f"{words}; {', '.join(lost)} may exist, and is not in the state"
                failure = Failure(kind="pending", message=words, urn=lost[0])
            return Outcome(
                failure=failure,
                changes=account.changes,
                resources=(*account.resources(lost), *account.unanswered(state.addresses)),
                outputs=outputs,
                evidence=_evidence(ended, state),
                began=ended.command != "init" and account.lock is None,
            )

        await call.perform("up", up)

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Destroy what this run made, and see the state empty; what was there before stays."""
        status, state = call.status, await self.terraform.state()
        if call.kind == "up":
            kept = self._not_ours(status, state)
            if kept is not None:
                return kept
            if callable(self.compensation) and not await call_compensation(call, self.compensation):
                return None
        forgotten: tuple[Leftover, ...] = ()
        if call.kind == "up" and (taken := imported(self.name, status)):
            failure = await let_go(call, self.terraform, state, taken)
            if failure is not None:
                await self._refused(call, failure, state)
                return None
            forgotten, state = taken, await self.terraform.state()
        if state.instances:
            outcome = await self._destroy(call, keeps=forgotten)
            if outcome.failure is not None:
                return None
            forgotten = (*forgotten, *outcome.leftovers)
        lost = (*forgotten, *self._lost(status, state))
        if lost:
            return Retained(reason=lost[0].reason, leftovers=lost)
        return Compensated(
            how="destroyed" if status.destroyed else "nothing", evidence={"resources": 0}
        )

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:
        """The outputs in the state."""
        return await self._outputs(call)

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Every resource in the state, and creates that were cut off."""
        state = await self.terraform.state()
        return (*self._all(state, reason), *self._lost(status, state))

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        """`terraform plan`, in a directory that was initialised."""
        try:
            state = await self.terraform.state(initialise=False)
        except UninitialisedError:
            what = f"apply {self._where}; more is known after `terraform init`"
            undo, undoable = self._foreseen_undo(0)
            undo = f"{undo}, if it holds nothing"
            return StepPreview(what=what, undo=undo, undoable=undoable, later=inputs is None)
        held = len(state.instances)
        what = f"apply to {held} resources in {self._where}" if held else f"apply {self._where}"
        undo, undoable = self._foreseen_undo(held)
        way: Way | None = "destroy" if undoable else None
        later = inputs is None
        there = tuple(
            ResourceChange(urn=one.address, op="same", id=one.id) for one in state.instances
        )
        foreseen = StepPreview(
            what=what, undo=undo, undoable=undoable, way=way, later=later, held=there
        )
        if inputs is None:
            return foreseen
        with scratch("plan") as place:
            account = await self.terraform.plan(inputs, place / "plan")
        if account is None:
            what = f"{what}; its changes are known after `terraform init`"
            return StepPreview(what=what, undo=undo, undoable=undoable, way=way)
        resources = tuple(
            ResourceChange(urn=address, op=_word(action))
            for address, action in account.planned.items()
        )
        changes: dict[str, int] = {}
        for change in resources:
            changes[change.op] = changes.get(change.op, 0) + 1
        if not changes and held:
            changes = {"same": held}
        failure = account.failure("plan", 1) if account.errors else None
        return StepPreview(
            what=what,
            undo=undo,
            undoable=undoable,
            way=way,
            changes=changes,
            resources=resources,
            failure=failure,
            at_risk=to_import(account.imported) if undoable else (),
        )

    async def drift(
        self, call: StepContext, operation: Operation
    ) -> tuple[tuple[ResourceChange, ...], Failure | None]:
        """By `terraform plan`, which refreshes."""
        account = await self.terraform.plan(await call.inputs(), Path(call.logs(operation)))
        if account is None:
            return (), Failure(kind="backend", message="its directory is not initialised")
        if account.errors:
            return (), account.failure("plan", 1)
        words = {address: _word(action) for address, action in account.planned.items()}
        changed = (one for one in words.items() if one[1] not in ("same", "read"))
        return tuple(ResourceChange(urn=address, op=op) for address, op in changed), None

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        """Wait for the CLI; what it had begun to create and did not end is in doubt."""
        words = await wait_for(operation, PROGRAMS)
        unknown = unlogged(operation)
        account = clean(Path(operation.log), None)
        state = await self.terraform.state()
        return Reconciled(
            found=f"waited for {', '.join(words)} to end" if words else "nothing was left at work",
            evidence={
                "waited_for": words,
                "creating": [*account.unrecorded(state.addresses), *unknown],
                "imported": account.imported,
                "fingerprint": state.fingerprint,
            },
        )

    # -- parts -------------------------------------------------------------------------------

    async def _outputs(self, call: StepContext) -> dict[str, Any]:
        """Those that are sensitive, or hold a secret that the module was given, as `Secret`s."""
        return mark_secrets(await self.terraform.outputs(), secrets_in(await call.inputs()))

    async def _operate(
        self, command: str, call: StepContext, operation: Operation, programs: ProgramRunner
    ) -> CommandResult:
        values, logs = await call.inputs(), Path(call.logs(operation))
        ended = await self.terraform.operate(command, values, logs, programs, self._cut_off)
        if ended.code < 0 and programs.process is not None:
            self._killed.append(programs.process)
        return ended

    def _cut_off(self) -> CutOff:
        known = self.cut_off()
        return known._replace(processes=(*known.processes, *self._killed))

    async def _refused(self, call: StepContext, failure: Failure, state: State) -> None:
        async def refused(_operation: Operation) -> Outcome:
            return Outcome(failure=failure, leftovers=self._all(state, failure.message))

        await call.perform("destroy", refused)

    async def _destroy(self, call: StepContext, keeps: tuple[Leftover, ...]) -> Outcome:
        async def destroy(operation: Operation) -> Outcome:
            programs = ProgramRunner(operation)
            ended = await self._operate("destroy", call, operation, programs)
            listed, state = await self.terraform.listed(), await self.terraform.state()
            evidence = {**_evidence(ended, state), "state list": list(listed)}
            account = ended.account
            if not listed:
                # The state decides, not the exit code.
                forgotten = tuple(at for at, do in account.planned.items() if do == "forget")
                reason = "Terraform let it go, by its own configuration, and did not destroy it"
                return Outcome(
                    changes=account.changes,
                    resources=account.resources(()),
                    evidence=evidence,
                    leftovers=tuple(self._leftover(at, "", reason) for at in forgotten),
                )
            failure = _unverified(listed)
            if not ended.ok:
                failure = programs.failure() or _failure(ended)
            return Outcome(
                failure=failure,
                changes=account.changes,
                resources=account.resources(()),
                evidence=evidence,
                leftovers=self._all(state, failure.message),
            )

        return await call.perform("destroy", destroy, keeps=keeps)

    def _not_ours(self, status: StepStatus, state: State) -> Compensated | Retained | None:
        """What speaks against a destroy: it is not this run's to take away, or not to be seen."""
        started = status.started
        held = started.held if started else 0
        before = started.fingerprint if started else ""
        lost = self._lost(status, state)
        if held and state.fingerprint == before and not (lost or unseen(status)):
            return Compensated(how="unchanged", evidence={"fingerprint": before})
        known = (status.fingerprint or before).partition(":")[0]
        if known and state.lineage != known and not status.destroyed:
            reason = (
                f"the Terraform state in {self._where} is not the one that this run wrote "
                "(another workspace or backend, or it is gone), so nobody can see what is left"
            )
            return Retained(reason=reason, leftovers=self._touched(status, state, reason))
        if held:
            why = (
                "compensation is retain" if self.compensation == "retain" else "it is not put back"
            )
            reason = (
                f"the Terraform state in {self._where} held {held} resources before this run, "
                f"which changed it: {why}"
            )
            return Retained(reason=reason, leftovers=self._touched(status, state, reason))
        if self.compensation != "retain":
            return None
        if not state.instances and not lost:
            return Compensated(how="nothing", evidence={"resources": 0})
        reason = "the step asks for it: compensation is retain"
        return Retained(reason=reason, leftovers=(*self._all(state, reason), *lost))

    def _touched(self, status: StepStatus, state: State, reason: str) -> tuple[Leftover, ...]:
        """What this run changed, as far as it was told; the state as a whole where it was not."""
        changed = tuple(
            self._leftover(change.urn, change.id, f"{change.op} by this run; {reason}")
            for change in status.resources
            if change.op not in DOUBTFUL
        )
        whole = (self._leftover("", "", reason),)
        known = bool(changed) and not status.unobserved
        return (*changed, *self._lost(status, state), *(() if known else whole))

    def _all(self, state: State, reason: str) -> tuple[Leftover, ...]:
        return tuple(self._leftover(one.address, one.id, reason) for one in state.instances)

    def _lost(self, status: StepStatus, state: State) -> tuple[Leftover, ...]:
        return tuple(
            self._leftover(address, "", reason) for address, reason in lost(status, state).items()
        )

    def _leftover(self, address: str, id_: str, reason: str) -> Leftover:
        return Leftover(step=self.name, urn=address, id=id_, reason=reason)

    @property
    def _where(self) -> str:
        return str(self.terraform.work_dir)

    def _foreseen_undo(self, held: int) -> tuple[str, bool]:
        if self.compensation == "retain":
            return "left as it is: compensation is retain", False
        if held:
            return f"nothing: the {held} resources that it holds now are never destroyed", False
        return (
            f"{'call its compensation, then ' if callable(self.compensation) else ''}destroy",
            True,
        )


def _failure(ended: CommandResult) -> Failure:
    return ended.account.failure(ended.command, ended.code)


def _unverified(listed: tuple[str, ...]) -> Failure:
    return Failure(
        kind="unverified",
        message=f"destroy succeeded, but `state list` still shows {', '.join(listed)}",
    )


def _evidence(ended: CommandResult, state: State) -> dict[str, Any]:
    """What is left afterwards, for the next operation to compare with."""
    broken = {"locks_broken": list(ended.broken)} if ended.broken else {}
    return {"fingerprint": state.fingerprint, **broken}


def _word(action: str) -> str:
    return {"noop": "same", "no-op": "same"}.get(action, action)
