"""What a package with kinds of steps of its own imports; docs/steps.md says how one is written."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alma.core.definition import Definition, StepDefinition
    from alma.core.events import Failure, Leftover, ResourceChange, StepStarted
    from alma.core.operation import Operation, Reconciled
    from alma.core.run import OpenOperation, StepStatus
    from alma.steps.base import (
        Check,
        Compensated,
        DoctorOptions,
        Outcome,
        Retained,
        Session,
        SessionOptions,
        StepContext,
        StepHandler,
        StepPreview,
    )
    from alma.steps.step import Output, Step
    from alma.steps.values import digest, inputs_of, journaled_values, lacking

__all__ = [
    "Check",
    "Compensated",
    "Definition",
    "DoctorOptions",
    "Failure",
    "Leftover",
    "OpenOperation",
    "Operation",
    "Outcome",
    "Output",
    "Reconciled",
    "ResourceChange",
    "Retained",
    "Session",
    "SessionOptions",
    "Step",
    "StepContext",
    "StepDefinition",
    "StepHandler",
    "StepPreview",
    "StepStarted",
    "StepStatus",
    "digest",
    "inputs_of",
    "journaled_values",
    "lacking",
]

_HOMES = {
    "core.definition": ("Definition", "StepDefinition"),
    "core.events": ("Failure", "Leftover", "ResourceChange", "StepStarted"),
    "core.operation": ("Operation", "Reconciled"),
    "core.run": ("OpenOperation", "StepStatus"),
    "steps.step": ("Output", "Step"),
    "steps.values": ("digest", "inputs_of", "journaled_values", "lacking"),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: a command that reads needs no step."""
    if name not in __all__:
        raise AttributeError(f"module 'alma.steps' has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), "steps.base")
    value = globals()[name] = getattr(import_module(f"alma.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
