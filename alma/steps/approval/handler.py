"""An approval: asked, answered by somebody elsewhere, and taken up when the run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from alma.core.approval import Approval, either
from alma.core.drift import Drift
from alma.core.events import Failure, Leftover
from alma.core.operation import Operation
from alma.core.run import StepStatus
from alma.steps.base import Compensated, Outcome, StepContext, StepHandler, StepPreview


@dataclass(kw_only=True)
class ApprovalHandler(StepHandler):
    """What was approved must be what would be done now: else it is asked about again."""

    name: str
    approvers: tuple[str, ...]
    timeout: float | None = None
    digest: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    lacks: str = ""

    async def deviations(self, call: StepContext, operation: Operation) -> Drift:  # noqa: ARG002
        """An answer is nothing outside."""
        return Drift(absent=True)

    async def execute(self, call: StepContext) -> None:
        """Take the answer to the plan as it is now; where there is none, ask, and end the turn."""
        plan = await call.asking.foresee()
        known = call.status.approval
        if known is None or known.asked.digest != plan.digest:
            known = None
        if known is None or (known.answer is None and not known.is_late(datetime.now(UTC))):
            call.asking.ask(self.approvers, self.timeout, plan)
            return
        outcome = _outcome(known)

        async def work(_operation: Operation) -> Outcome:
            return outcome

        await call.perform("action", work)

    async def compensate(self, call: StepContext) -> Compensated:  # noqa: ARG002 - one Protocol
        """A word that was given has changed nothing."""
        return Compensated(how="nothing", evidence={"approval": "there is nothing to undo"})

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:  # noqa: ARG002
        """None."""
        return ()

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:  # noqa: ARG002
        """The run would wait."""
        within = f", at most {self.timeout:g} s" if self.timeout is not None else ""
        return StepPreview(
            what=f"wait for approval by {either(self.approvers)}{within}",
            undo="nothing to undo",
            undoable=True,
            way="nothing",
        )


def _outcome(known: Approval) -> Outcome:
    answer = known.answer
    if answer is None:
        words = f"it was not approved within {known.asked.timeout:g} s of the asking"
        return Outcome(failure=Failure(kind="timeout", message=words))
    if not answer.approved:
        words = f"refused by {answer.name}: {answer.reason}"
        return Outcome(failure=Failure(kind="refused", message=words))
    outputs = {"by": answer.name, "reason": answer.reason, "digest": answer.digest}
    return Outcome(outputs=outputs)
