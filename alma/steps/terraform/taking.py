"""What a module has imported: it was there before the run, so an undo takes it out of the state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from alma.core.events import IMPORTED, Failure, Leftover
from alma.core.operation import Difference, Operation
from alma.core.run import StepStatus
from alma.steps.base import Outcome, StepContext
from alma.steps.terraform.cli import Terraform
from alma.steps.terraform.state import State
from alma.system.programs import ProgramRunner


def to_import(planned: Mapping[str, str]) -> tuple[Difference, ...]:
    """What an undo would leave, of a module that is only looked at."""
    reason = "the module imports it: an undo leaves it, as `up` has it"
    return tuple(Difference(urn=at, id=id_, reason=reason) for at, id_ in planned.items())


def imported(step: str, status: StepStatus) -> tuple[Leftover, ...]:
    """What this run has imported, once each."""
    found = {change.urn: change.id for change in status.resources if change.op == IMPORTED}
    reason = (
        "it was there before this run (the module imports it): kept, though it may be changed, "
        "and no longer in the state"
    )
    return tuple(
        Leftover(step=step, urn=address, id=identity, reason=reason)
        for address, identity in found.items()
    )


async def let_go(
    call: StepContext, terraform: Terraform, state: State, taken: Iterable[Leftover]
) -> Failure | None:
    """Take these out of the state, which is then read again; why that failed, if it did."""
    held = [left.urn for left in taken if left.urn in state.addresses]
    if not held:
        return None

    async def mend(operation: Operation) -> Outcome:
        programs = ProgramRunner(operation)
        ended = await terraform.forget(held, Path(call.logs(operation)), programs)
        after = await terraform.state()
        evidence = {"fingerprint": after.fingerprint}
        if not after.addresses & {*held}:
            return Outcome(evidence=evidence)
        failure = Failure(kind="unverified", message="the state does not let go of what it imports")
        if not ended.ok:
            failure = programs.failure() or ended.account.failure("state rm", ended.code)
        return Outcome(failure=failure, evidence=evidence)

    return (await call.perform("mend", mend)).failure
