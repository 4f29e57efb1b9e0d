"""The kinds of steps and the references between them: frozen data with callables in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from alma.core.definition import Kind, Retry, StepDefinition
from alma.core.operation import PendingCreate
from alma.pulumi.engine import StackRef

Resolver = Callable[[PendingCreate], Any]
StackCompensation = Literal["destroy", "restore", "retain"] | Callable[..., Any]


@dataclass(frozen=True)
class Output:
    """A reference to an output of a step, to be used as an input of another one."""

    step: str
    name: str
    owner: object = field(default=None, repr=False, compare=False)
    """Whose step it is of; None in a reference that is made from the journal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What every kind of step has. Made by `Saga.add_*`; times are seconds."""

    kind: ClassVar[Kind]
    name: str
    owner: object = field(repr=False, compare=False)
    """The saga that it is a step of: to a step no more than a token, the same one or another."""
    after: tuple[str, ...] | None
    inputs: Mapping[str, Any]
    retry: Retry
    compensation_retry: Retry
    timeout: float | None
    compensation_timeout: float | None
    pivot: bool

    def output(self, name: str) -> Output:
        """The output of that name, for `inputs={"...": step.output("...")}` of another step."""
        return Output(self.name, name, self.owner)

    @property
    def effects(self) -> tuple[tuple[str, str], ...]:
        """What this step alone may work on, as kind and name: no other step has the same."""
        return ()

    @classmethod
    @contextmanager
    def prewarm(cls, steps: Sequence[Self], stack: str) -> Iterator[None]:  # noqa: ARG003 - one for all
        """Start what takes long ahead of what runs these steps; by default there is nothing."""
        yield

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


@contextmanager
def prewarmed(steps: Sequence[Step], stack: str) -> Iterator[None]:
    """Whatever the kinds of these steps start ahead; `stack` is the saga's."""
    with ExitStack() as begun:
        for kind in dict.fromkeys(type(step) for step in steps):
            own = [step for step in steps if type(step) is kind]
            begun.enter_context(kind.prewarm(own, stack))
        yield


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

    @classmethod
    @contextmanager
    def prewarm(cls, steps: Sequence[Self], stack: str) -> Iterator[None]:
        """A worker, for the first engine of this process."""
        from alma.pulumi.prewarm import prewarm

        refs = [step.ref(stack) for step in steps]
        with prewarm(refs, programs=any(step.program for step in steps)):
            yield

    def ref(self, stack: str) -> StackRef:
        """Its stack, of this name."""
        return StackRef(project=self.project, stack=stack, work_dir=str(self.work_dir or ""))

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
