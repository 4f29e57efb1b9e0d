"""Steps that say how the run goes on, and make nothing by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from alma.saga.tools import ToolSteps
from alma.steps.step import Step

if TYPE_CHECKING:
    from alma.steps.approval.step import ApprovalStep


class FlowSteps(ToolSteps):
    """As `ToolSteps`, and a method for each of them."""

    def add_approval(
        self,
        name: str,
        approvers: Iterable[str],
        *,
        timeout: float | None = None,
        after: Iterable[Step | str] | None = None,
    ) -> ApprovalStep:
        """Add a step at which the run waits until one of `approvers` agrees to what comes after it.

        They are names as `alma-pulumi approve` has them: of the user of the system, or ALMA_ACTOR.
        Asked last, when nothing else can go on; without a terminal the run stops there, and
        `resume` goes on once it is approved. What was approved is the plan of that moment: where it
        is another one by then, it is asked again. Refused, or `timeout` seconds after it was asked,
        the run turns back.
        """
        from alma.steps.approval.step import ApprovalStep

        return self.add(ApprovalStep(name=name, approvers=approvers, timeout=timeout, after=after))
