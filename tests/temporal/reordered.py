"""A workflow that asks for the same as alma's, in another order."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from alma.runner.temporal.orders import NEXT, WORKFLOW, Ask, Next, Order, lead_of
    from alma.runner.temporal.workflow import RunWorkflow


@workflow.defn(name=WORKFLOW)
class Reordered(RunWorkflow):
    """Asks what to do before it has begun."""

    @workflow.run
    async def run(self, order: Order) -> str:
        await self._keep(NEXT, Ask(lead_of(order), ()), Next)
        return await super().run(order)
