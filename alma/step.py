"""The kinds of steps and the references between them: frozen data with callables in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alma.context import PendingCreate
from alma.definition import Retry

if TYPE_CHECKING:
    from alma.saga import Saga

Resolver = Callable[[PendingCreate], Any]
StackCompensation = Literal["destroy", "restore", "retain"] | Callable[..., Any]


@dataclass(frozen=True)
class Output:
    """A reference to an output of a step, to be used as an input of another one."""

    step: str
    name: str
    saga: Saga = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What every kind of step has. Made by `Saga.add_*`; times are seconds."""

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


@dataclass(frozen=True, kw_only=True)
class StackStep(Step):
    """A Pulumi stack: an inline `program` or a project in `work_dir`."""

    project: str
    program: Callable[[], Any] | None
    work_dir: Path | None
    config: Mapping[str, Any]
    compensation: StackCompensation
    resolver: Resolver | None


@dataclass(frozen=True, kw_only=True)
class ActionStep(Step):
    """A pair of callables, plain or async: `action` does, `compensation` undoes."""

    action: Callable[..., Any]
    compensation: Callable[..., Any] | Literal["none"] | None
