"""The kinds of steps and the references between them: frozen data with callables in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from alma.core.definition import Kind, Retry, StepDefinition
from alma.core.operation import PendingCreate

if TYPE_CHECKING:
    from alma.saga.saga import Saga

Resolver = Callable[[PendingCreate], Any]
StackCompensation = Literal["destroy", "restore", "retain"] | Callable[..., Any]


@dataclass(frozen=True)
class Output:
    """A reference to an output of a step, to be used as an input of another one."""

    step: str
    name: str
    saga: Saga | None = field(repr=False, compare=False)
    """Of whose step; None in a reference that is made from the journal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What every kind of step has. Made by `Saga.add_*`; times are seconds."""

    kind: ClassVar[Kind]
    name: str
    saga: Saga = field(repr=False, compare=False)
    after: tuple[str, ...] | None
    inputs: Mapping[str, Any]
    retry: Retry
    compensation_retry: Retry
    timeout: float | None
    compensation_timeout: float | None
    pivot: bool

    def output(self, name: str) -> Output:
        """The output of that name, for `inputs={"...": step.output("...")}` of another step."""
        return Output(self.name, name, self.saga)

    @property
    def effects(self) -> tuple[tuple[str, str], ...]:
        """What this step alone may work on, as kind and name: no other step has the same."""
        return ()

    def particulars(self) -> dict[str, Any]:
        """The fields of its `StepDefinition` that only this kind of step has."""
        raise NotImplementedError

    def describe(self, previous: str | None) -> StepDefinition:
        """The step as data; `previous` is the one that was added before it."""
        sources = {ref.step for ref in self.inputs.values() if isinstance(ref, Output)}
        if self.after is None and not sources:
            dependencies = {previous} if previous else set()
        else:
            dependencies = sources | set(self.after or ())
        return StepDefinition(
            name=self.name,
            kind=self.kind,
            dependencies=tuple(sorted(dependencies)),
            inputs={
                key: f"{value.step}.{value.name}" if isinstance(value, Output) else "value"
                for key, value in sorted(self.inputs.items())
            },
            retry=self.retry,
            compensation_retry=self.compensation_retry,
            timeout=self.timeout,
            compensation_timeout=self.compensation_timeout,
            pivot=self.pivot,
            **self.particulars(),
        )


@dataclass(frozen=True, kw_only=True)
class StackStep(Step):
    """A Pulumi stack: an inline `program` or a project in `work_dir`."""

    kind = "stack"
    project: str
    program: Callable[[], Any] | None
    work_dir: Path | None
    config: Mapping[str, Any]
    compensation: StackCompensation
    resolver: Resolver | None

    @property
    def effects(self) -> tuple[tuple[str, str], ...]:
        """Its stack, by the project's name: all steps share the stack's."""
        return (("stack: both have the project", self.project),)

    def particulars(self) -> dict[str, Any]:
        """Where the stack is and how it is undone."""
        return {
            "project": self.project,
            "work_dir": str(self.work_dir or ""),
            "compensation": "callable" if callable(self.compensation) else self.compensation,
        }


@dataclass(frozen=True, kw_only=True)
class ActionStep(Step):
    """A pair of callables, plain or async: `action` does, `compensation` undoes."""

    kind = "action"
    action: Callable[..., Any]
    compensation: Callable[..., Any] | Literal["none"] | None

    def particulars(self) -> dict[str, Any]:
        """How it is undone."""
        if callable(self.compensation):
            return {"compensation": "callable"}
        return {"compensation": "nothing" if self.compensation == "none" else "none"}
