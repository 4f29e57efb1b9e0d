"""What an update of a stack would do, and what is not as its program has it; touches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import field
from msgspec.structs import replace

from alma.core.drift import Drift
from alma.core.events import Failure, ResourceChange
from alma.core.operation import Operation, aside
from alma.pulumi.engine import Checkpoint, UpRequest
from alma.steps.base import StepContext, StepPreview
from alma.steps.stack.config import config_value
from alma.steps.stack.drift import look
from alma.steps.stack.given import SeenStack
from alma.steps.stack.preview import at_risk, held_by, planned, undo_of, what_of


class ForeseenStack(SeenStack, kw_only=True):
    """The part of its handler that has the engine look ahead."""

    name: str
    program: bytes | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    compensation: str | Callable[..., Any] = "destroy"

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        """`pulumi preview`, and what a failure would mean for what is there now."""
        now = await self.engine.inspect(self.ref)
        undo, way = undo_of(self.compensation, now)
        if inputs is None:
            return StepPreview(
                what=what_of(now),
                undo=undo,
                undoable=way != "retain",
                way=way,
                later=True,
                held=held_by(now),
            )
        operation = aside(asyncio.Event())
        result = await self.engine.preview(self._request(inputs, now, ""), operation)
        return StepPreview(
            what=what_of(now),
            undo=undo,
            undoable=way != "retain",
            changes=result.changes,
            resources=result.resources,
            failure=result.failure,
            way=way,
            at_risk=at_risk(result, now) if way != "retain" else (),
            warnings=result.warnings,
        )

    async def drift(
        self, call: StepContext, operation: Operation
    ) -> tuple[tuple[ResourceChange, ...], Failure | None]:
        """By a preview with refresh."""
        inputs, now = await call.inputs(), await self.engine.inspect(self.ref)
        request = self._request(inputs, now, call.logs(operation))
        result = await self.engine.preview(replace(request, refresh=True), operation)
        return planned(result), result.failure

    async def deviations(self, call: StepContext, operation: Operation) -> Drift:
        """By its state alone."""
        return await look(self.engine, self.ref, call.status, operation)

    def _request(self, inputs: Mapping[str, Any], now: Checkpoint, log_dir: str) -> UpRequest:
        # What another step gave can be null: to a program that is a key that is not there.
        given = {
            key: config_value(f'Step "{self.name}": input {key!r}', value, null=True)
            for key, value in inputs.items()
            if value is not None
        }
        return UpRequest(
            ref=self.ref,
            program=self.program,
            config={**self.config, **given},
            defaults=self.defaults,
            create=not now.exists,
            log_dir=log_dir,
        )
