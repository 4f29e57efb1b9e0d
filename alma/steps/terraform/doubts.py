"""What nobody saw the end of: Terraform was killed, or the service's answer was lost."""

from __future__ import annotations

from pathlib import Path

from alma.core.events import DELETING, IN_DOUBT, UNANSWERED, UPDATING, Failure
from alma.core.run import OpenOperation, StepStatus
from alma.steps.terraform.state import State
from alma.system.processes import is_place_here


def cut_off(status: StepStatus, state: State) -> tuple[str, ...]:
    """Creates that were cut off, and are still not in the state."""
    begun = dict.fromkeys(change.urn for change in status.resources if change.op == IN_DOUBT)
    return tuple(address for address in begun if address not in state.addresses)


def unlogged(operation: OpenOperation) -> tuple[str, ...]:
    """What stands for all that an operation was creating, where its log is on another host.

    Nothing else knows: what was begun is in no state before it has ended.
    """
    away = [host.partition("#")[0] for host in operation.hosts if not is_place_here(host)]
    if not away or operation.kind != "up" or Path(operation.log).exists():
        return ()
    where = " and ".join(dict.fromkeys(away))
    return (f"(whatever it was creating on {where}, whose log is not here)",)


def lost(status: StepStatus, state: State) -> dict[str, str]:
    """By address why it may exist, and be in no state.

    One whose answer was lost may be there twice, once it was tried again.
    """
    unanswered = (change.urn for change in status.resources if change.op == UNANSWERED)
    killed = "Terraform was cut off and did not note that it was created: it may exist"
    return {
        **dict.fromkeys(unanswered, "the answer to its create never came: it may exist"),
        **dict.fromkeys(cut_off(status, state), killed),
    }


def unseen(status: StepStatus) -> bool:
    """Whether an update or a delete may have been done, and the state shows what was before."""
    return any(change.op in (UPDATING, DELETING) for change in status.resources)


def unresolved(doubtful: tuple[str, ...]) -> Failure:
    """Nobody can say what became of these: going on could make them twice."""
    names = ", ".join(doubtful)
    return Failure(
        kind="pending",
        message=f"Terraform was killed while it created {names}: it may exist or not",
        urn=doubtful[0],
        hint="Look at the provider; what exists can be taken in with `terraform import`.",
    )
