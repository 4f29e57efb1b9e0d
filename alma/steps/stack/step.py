"""A step that is a Pulumi stack: its definition, and what does and undoes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.errors import DefinitionError
from alma.pulumi.engine import Engine, StackRef
from alma.steps.stack.pending import Resolver
from alma.steps.step import Step
from alma.steps.values import code, digest, plain, project_digest

if TYPE_CHECKING:
    from alma.steps.stack.handler import StackHandler

StackCompensation = Literal["destroy", "restore", "retain"] | Callable[..., Any]


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
        with prewarm(refs):
            yield

    def ref(self, stack: str) -> StackRef:
        """Its stack, of this name."""
        return StackRef(project=self.project, stack=stack, work_dir=str(self.work_dir or ""))

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """Its stack, by the project's name: all steps share the stack's."""
        return (("stack: both have the project", self.project),)

    def kind_fields(self) -> dict[str, Any]:
        """Where the stack is and how it is undone."""
        return {
            "project": self.project,
            "work_dir": str(self.work_dir or ""),
            "compensation": "callable" if callable(self.compensation) else self.compensation,
        }


def from_plan(step: StepDefinition, stack: str, engine: Engine | None) -> StackHandler:
    """It can destroy what the stack's state holds, or put it back."""
    from alma.steps.stack.handler import StackHandler

    return StackHandler(
        name=step.name,
        ref=stack_ref(step, stack),
        engine=_required(engine),
        compensation=step.compensation,
    )


def from_step(
    step: StackStep,
    stack: str,
    engine: Engine | None,
    modules: tuple[ModuleType, ...],
    redactor: Redactor,
) -> StackHandler:
    """It can do and undo."""
    from alma.pulumi.programs import serialize_program
    from alma.steps.callables import takes_context
    from alma.steps.stack.handler import StackHandler

    redactor.learn(step.config)
    program = None
    if step.program is not None:
        program = serialize_program(step.program, step=step.name, by_value=modules)
    undo = step.compensation
    if callable(undo):
        takes_context(undo, f'The compensation of step "{step.name}"')
    return StackHandler(
        name=step.name,
        ref=step.ref(stack),
        engine=_required(engine),
        program=program,
        config=step.config,
        inputs=step.inputs,
        compensation=undo,
        resolver=step.resolver,
        digest=digest(
            code(step.program),
            code(undo) if callable(undo) else undo,
            plain(step.config),
            plain(step.inputs),
            project_digest(step.work_dir) if step.work_dir else "",
        ),
    )


def stack_ref(step: StepDefinition, stack: str) -> StackRef:
    """The stack of a step."""
    return StackRef(project=step.project, stack=stack, work_dir=step.work_dir)


def _required(engine: Engine | None) -> Engine:
    if engine is None:
        raise LookupError("a saga with stack steps needs an engine")
    return engine


FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
"""The names that Pulumi itself looks for."""


def find_project(where: str, directory: Path) -> str:
    """The name of the project in the directory; DefinitionError when there is none."""
    path = next((directory / name for name in FILES if (directory / name).is_file()), None)
    if path is None:
        raise DefinitionError(f"{where}: {directory} has no Pulumi.yaml.")
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        raise DefinitionError(f"{where}: {path} cannot be read: {words}.") from error
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        raise DefinitionError(f"{where}: {path} does not name its project.")
    return name
