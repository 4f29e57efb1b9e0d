"""A step that nothing at hand can undo: it only says why, and that it is still there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Never

from alma.core.events import Leftover
from alma.core.run import StepStatus
from alma.errors import DefinitionError
from alma.steps.base import StepContext, StepHandler


@dataclass(kw_only=True)
class UnboundHandler(StepHandler):
    """`lacks` is why."""

    name: str
    lacks: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    async def execute(self, call: StepContext) -> Never:  # noqa: ARG002 - one Protocol
        """Cannot be."""
        raise DefinitionError(self.lacks)

    async def compensate(self, call: StepContext) -> Never:  # noqa: ARG002
        """Cannot be: a run that needs it is refused before it starts."""
        raise DefinitionError(self.lacks)

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """What the journal has seen done, rather too much than too little; or the step itself."""
        seen = {change.urn: change.id for change in status.resources} or {"": ""}
        return status.leftovers or tuple(
            Leftover(step=self.name, urn=urn, id=id_, reason=reason) for urn, id_ in seen.items()
        )
