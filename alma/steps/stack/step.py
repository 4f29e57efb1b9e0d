"""A step that is a Pulumi stack: its definition, and what does and undoes it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from msgspec.structs import replace

from alma.core.definition import Definition, StepDefinition
from alma.core.operation import Resolver
from alma.core.validation import check_choice, check_key, check_name
from alma.errors import DefinitionError
from alma.pulumi.engine import StackRef, WorkspaceOptions
from alma.steps.base import Check, DoctorOptions, SessionOptions, StepHandler
from alma.steps.stack.config import config_value
from alma.steps.stack.form import FORM
from alma.steps.stack.options import told
from alma.steps.stack.places import told_of_backend
from alma.steps.stack.session import StackSession
from alma.steps.step import Output, Step
from alma.steps.values import code, digest, lacking, plain, project_digest

StackCompensation = Literal["destroy", "restore", "retain"] | Callable[..., Any]

_GENERATOR, _ASYNC_GENERATOR = 0x20, 0x200
"""As in `inspect`, which takes 10 ms to load."""

FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
"""The names that Pulumi itself looks for."""


@dataclass(frozen=True, kw_only=True)
class StackStep(Step):
    """A Pulumi stack: an inline `program` or a project in `work_dir`.

    Without a `project` it is the one that the Pulumi.yaml of `work_dir` names.
    """

    kind = "stack"
    form = FORM
    project: str = ""
    program: Callable[[], Any] | None = None
    work_dir: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    compensation: StackCompensation = "destroy"
    resolver: Resolver | None = None
    existed: Callable[..., Any] | None = None
    options: WorkspaceOptions = field(default_factory=WorkspaceOptions)

    def validate(self) -> None:
        """One of program and work_dir, and whatever else is given."""
        if (self.program is None) == (self.work_dir is None):
            raise DefinitionError(f"{self.where} needs either a program or a work_dir.")
        if self.program is not None and not callable(self.program):
            raise DefinitionError(
                f"{self.where}: the program must be callable, not {self.program!r}."
            )
        self.check_functions()
        if not callable(self.compensation):
            choices = ("destroy", "restore", "retain")
            check_choice(f"{self.where}: compensation", self.compensation, choices)
        if self.resolver is not None and not callable(self.resolver):
            raise DefinitionError(
                f"{self.where}: the resolver must be callable, not {self.resolver!r}."
            )
        if self.existed is not None and not callable(self.existed):
            raise DefinitionError(
                f"{self.where}: existed must be callable, not {self.existed!r}.",
                hint="Give a function that returns the ids of what is there already.",
            )
        config = {
            check_key(self.where, key): config_value(f"{self.where}: config {key!r}", value)
            for key, value in self.config.items()
        }
        self._set("config", config)
        for key, value in self.inputs.items():
            if not isinstance(value, Output):
                config_value(f"{self.where}: input {key!r}", value)
        if both := set(self.config) & set(self.inputs):
            raise DefinitionError(f"{self.where}: {min(both)!r} is given as config and as input.")
        own = self.project
        if self.work_dir is not None:
            self._set("work_dir", Path(self.work_dir).absolute())
            own = find_project(self.where, self.work_dir)
        self._set("project", check_name("project", self.project or own))

    def check_functions(self) -> None:
        """A program can be one."""
        _check_program(self.where, self.program)

    def ref(self, stack: str) -> StackRef:
        """Its stack, of this name, where its project says that its state is."""
        ref = StackRef(
            project=self.project,
            stack=stack,
            work_dir=str(self.work_dir or ""),
            options=self.options,
        )
        if not ref.work_dir and not self.options.project:
            return ref  # nothing more is loaded for it
        from alma.pulumi.backend import absolute
        from alma.pulumi.project import backend_of

        base = Path(self.work_dir or "").absolute()
        return replace(ref, backend=absolute(backend_of(ref), base, os.environ))

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """Its stack, by the project's name: all steps share the stack's."""
        return (("stack: both have the project", self.project),)

    def kind_fields(self) -> dict[str, Any]:
        """Where the stack is and how it is undone."""
        backend = self.ref("any").backend
        return {
            "project": self.project,
            "work_dir": str(self.work_dir or ""),
            "compensation": "callable" if callable(self.compensation) else self.compensation,
            "settings": {
                # An undo with other credentials than these would find nothing, and call it clean.
                **({"secrets": sorted(self.options.env)} if self.options.env else {}),
                **told_of_backend(backend),
            },
        }

    def bind(self, session: StackSession) -> StepHandler:
        """Its program travels to a worker: DefinitionError for one that cannot."""
        from alma.pulumi.programs import serialize_program
        from alma.steps.callables import takes_context
        from alma.steps.stack.given import ProgramDigest
        from alma.steps.stack.handler import StackHandler

        program = program_digest = None
        if self.program is not None:
            program_digest = ProgramDigest.of(self.program)
            program = serialize_program(self.program, step=self.name, by_value=session.modules)
        undo = self.compensation
        if callable(undo):
            takes_context(undo, f'The compensation of step "{self.name}"')
        if self.existed is not None:
            takes_context(self.existed, f'The existed of step "{self.name}"')
        return StackHandler(
            name=self.name,
            ref=session.bind(self.name, self.ref(session.stack)),
            engine=session.engine,
            snapshots=session.snapshots,
            program=program,
            program_digest=program_digest,
            config=self.config,
            defaults=session.defaults,
            inputs=self.inputs,
            compensation=undo,
            resolver=self.resolver,
            sees=self.existed,
            others=session.others,
            digest=digest(
                code(self.program),
                code(undo) if callable(undo) else undo,
                plain(self.config),
                plain(self.inputs),
                told(self.options),
                project_digest(self.work_dir) if self.work_dir else "",
            ),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: StackSession | None) -> StepHandler:
        """It can destroy what the stack's state holds, or put it back."""
        from alma.steps.stack.handler import StackHandler
        from alma.steps.unbound import UnboundHandler

        lacks = lacking(definition)
        if session is None:
            return UnboundHandler(name=definition.name, lacks=lacks)
        return StackHandler(
            name=definition.name,
            ref=session.ref(definition),
            engine=session.engine,
            snapshots=session.snapshots,
            others=session.others,
            compensation=definition.compensation,
            lacks=lacks,
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, definition: Definition, asked: SessionOptions
    ) -> AsyncIterator[StackSession]:
        """One engine for all stacks."""
        async with StackSession.open(definition, asked) as session:
            yield session

    @classmethod
    @contextmanager
    def prewarm(cls, steps: Sequence[Self], stack: str) -> Iterator[None]:
        """A worker, for the first engine of this process."""
        from alma.pulumi.prewarm import prewarm

        refs = [step.ref(stack) for step in steps]
        with prewarm(refs):
            yield

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:
        """CLI, SDK, plugins, backend, passphrase, locks, and what unfinished runs need."""
        from alma.steps.stack.doctor import examine

        return await examine(asked)


def _check_program(where: str, program: object) -> None:
    """A program is called with nothing, and what it makes it makes when it is called."""
    code = getattr(program, "__code__", None)
    if code is None or hasattr(program, "__wrapped__"):
        return
    if code.co_flags & (_GENERATOR | _ASYNC_GENERATOR):
        raise DefinitionError(
            f"{where}: the program is a generator, and would make nothing.",
            hint="Leave out its yield.",
        )
    bound = int(hasattr(program, "__self__"))
    needed = code.co_argcount - bound - len(getattr(program, "__defaults__", None) or ())
    keywords = code.co_kwonlyargcount - len(getattr(program, "__kwdefaults__", None) or ())
    if needed > 0 or keywords > 0:
        name = code.co_varnames[bound if needed > 0 else code.co_argcount]
        raise DefinitionError(
            f"{where}: the program must take no argument, but it needs {name}.",
            hint="Give it the value by functools.partial, or as config.",
        )


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
