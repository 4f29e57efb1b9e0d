"""A workflow that decides by itself: what it imports of alma must not be loaded again."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from alma.core.decide import Execute, decide
    from tests.core.histories import History, diamond


@workflow.defn
class Deciding:
    """Answers with the first steps of a run whose base is there."""

    @workflow.run
    async def run(self) -> list[str]:
        history = History(diamond())
        history.succeed("base")
        return [one.step for one in decide(history.run) if isinstance(one, Execute)]
