"""A step's stack as the Automation API knows it, for whatever else somebody wants to do with it.

Runs in the process of whoever asks, not in a worker: it is loaded when it is asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace
from pulumi import automation

from alma.core.run import RunStatus
from alma.core.search_path import python_first
from alma.core.secret import MASK
from alma.errors import DefinitionError
from alma.pulumi.backend import Backend, python_environment
from alma.pulumi.engine import StackRef
from alma.pulumi.project import directory_of, write_project

Stack = automation.Stack


class Saga(Protocol):
    """What is needed of a saga: which room it is from does not matter here."""

    @property
    def stack(self) -> str:
        """The name that all of its stacks have."""
        ...

    @property
    def organization(self) -> str:
        """Theirs in Pulumi Cloud, or empty."""
        ...

    @property
    def backend(self) -> str:
        """The URL that it says for their state, or empty."""
        ...

    @property
    def steps(self) -> Sequence[Any]:
        """Its steps."""
        ...


def select(saga: Saga, step: str) -> automation.Stack:
    """The stack of this step, with the project, backend, passphrase and environment of a run.

    Raises DefinitionError for a step that has no stack, and `StackNotFoundError` of the
    Automation API for a stack that no run has made.
    """
    found = _stack_step(saga.steps, step)
    backend = Backend.choose(Path.cwd(), os.environ, asked=saga.backend)
    ref = replace(found.ref(saga.stack), organization=saga.organization)
    return _selected(ref, backend, found.program)


def select_step(run: RunStatus, step: str) -> automation.Stack:
    """The same of what a run was made of; without its program, which no journal keeps."""
    found = _stack_step(run.definition.steps, step)
    ref = StackRef(
        project=found.project,
        stack=run.definition.stack,
        organization=run.definition.organization,
        work_dir=found.work_dir,
        backend=found.settings.get("backend", ""),
    )
    return _selected(ref, Backend.choose(Path.cwd(), os.environ, kept=run.backend), None)


def _selected(
    ref: StackRef, common: Backend, program: Callable[[], Any] | None
) -> automation.Stack:
    """A user's own project is worked on in its directory, anything else in alma's."""
    cwd, backend = Path.cwd(), common.of(ref.backend)
    if MASK in backend.url:
        raise DefinitionError(
            f"The credentials of {backend.url} are not in the journal.",
            hint="Set PULUMI_BACKEND_URL to it.",
        )
    backend.check(os.environ)
    backend.prepare()  # The CLI has no words for a state directory that is not there.
    environment = {**backend.environment(os.environ), **ref.options.env}
    directory = Path(ref.work_dir)
    if not ref.work_dir:
        search = python_first([entry or str(cwd) for entry in sys.path])
        environment |= python_environment(search)
        directory = directory_of(ref, backend.url, os.environ)
        write_project(directory, ref, str(cwd))
    workspace = automation.LocalWorkspace(
        work_dir=str(directory),
        program=program,
        secrets_provider=ref.options.secrets_provider or None,
        env_vars={key: text for key, text in environment.items() if os.environ.get(key) != text},
    )
    return automation.Stack.select(ref.qualified, workspace)


def _stack_step(steps: Sequence[Any], name: str) -> Any:
    for step in steps:
        if step.name == name:
            if step.project:
                return step
            raise DefinitionError(f'Step "{name}" is no stack, but of the kind {step.kind}.')
    raise DefinitionError(f'The saga has no step "{name}".')
