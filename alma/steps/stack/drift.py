"""What has become of a stack's resources behind its back: by its state alone, without a program."""

from __future__ import annotations

from typing import Final

from alma.core.drift import Drift, ResourceDrift
from alma.core.operation import Operation
from alma.core.run import StepStatus
from alma.pulumi.engine import Checkpoint, Engine, StackRef

_PROVIDERS: Final = "pulumi:providers:"


async def look(engine: Engine, ref: StackRef, status: StepStatus, operation: Operation) -> Drift:
    """By `pulumi refresh --preview-only`, held against the state: who was not asked is named."""
    now = await engine.inspect(ref)
    label = f"{ref.project}/{ref.stack}"
    if not now.exists or (now.is_empty and _has_held(now, status)):
        what = "its state is empty" if now.exists else "its record is gone from the backend"
        why = f"{what}, and by the journal it is up: what it held is not known any more"
        return Drift(resources=(ResourceDrift(urn=label, op="missing", why=why),))
    notes = _notes(now, status)
    unasked = [(one.urn, f"it was cut off while {one.kind}") for one in now.pending]
    owned = [one for one in now.resources if one.custom and not one.type.startswith(_PROVIDERS)]
    if not owned:
        return Drift(unasked=tuple(unasked), notes=notes)
    result = await engine.drift(ref, operation)
    asked = frozenset(result.asked)
    for one in owned:
        if one.pending_replacement:
            unasked.append((one.urn, "it is to be replaced, and its provider is not asked then"))
        elif one.urn not in asked:
            unasked.append((one.urn, "its provider has not told of it"))
    return Drift(
        resources=result.drifted, unasked=tuple(unasked), failure=result.failure, notes=notes
    )


def _has_held(now: Checkpoint, status: StepStatus) -> bool:
    """Whether the step has left anything in a state that is empty by now."""
    if status.fingerprint:
        return status.fingerprint != now.fingerprint
    return bool(status.resources) and not status.destroyed  # it failed: nobody has looked since


def _notes(now: Checkpoint, status: StepStatus) -> tuple[str, ...]:
    if status.fingerprint in ("", now.fingerprint):
        return ()
    at = f" at {now.at}" if now.at else ""
    return (f"somebody else has changed its state{at}, since its last run of this journal",)
