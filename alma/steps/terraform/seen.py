"""What can be seen of a module: its state and outputs, and all that decides what it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alma.core.drift import Drift
from alma.core.operation import Operation
from alma.steps.base import StateNow, StepContext
from alma.steps.step import Output
from alma.steps.terraform.cli import Terraform, UninitialisedError
from alma.steps.terraform.drift import look
from alma.steps.values import tree_digest

_WRITTEN = (".tfstate", ".tfstate.backup", ".tflock", ".tfstate.lock.info")


@dataclass(kw_only=True)
class SeenModule:
    """The part of its handler that only looks."""

    terraform: Terraform
    inputs: Mapping[str, Any] = field(default_factory=dict)

    async def state_now(self) -> StateNow:
        """One process; the backend is initialised where it never was."""
        return StateNow(fingerprint=(await self.terraform.state()).fingerprint)

    def given(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its variables, and all files below its directory."""
        files = {"files of its module": tree_digest(self.terraform.work_dir, _WRITTEN)}
        literal = (name for name, value in self.inputs.items() if not isinstance(value, Output))
        return {**{f"variable `{name}`": inputs[name] for name in literal}, **files}

    async def deviations(self, call: StepContext, operation: Operation) -> Drift:
        """By a plan that only refreshes."""
        values = await call.inputs()
        operation.redact.learn(list(values.values()))
        return await look(self.terraform, values, call.status)

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:  # noqa: ARG002
        """The outputs in the state; none where it cannot be read yet."""
        try:
            await self.terraform.state(initialise=False)
        except UninitialisedError:
            return {}
        return await self.terraform.outputs()
