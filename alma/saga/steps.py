"""The steps of a saga: added one after the other, checked as they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Unpack, overload

from alma.core.operation import Resolver
from alma.errors import DefinitionError
from alma.saga.arguments import chosen, claim, pair_of
from alma.saga.ready import check_ready
from alma.steps.action import ActionStep
from alma.steps.stack.options import LocalWorkspaceOptions, Workspace
from alma.steps.stack.step import StackCompensation, StackStep
from alma.steps.step import Step, StepOptions

S = TypeVar("S", bound=Step)

Undo = Callable[..., Any] | Literal["none"] | None  # "none": there is nothing to undo


class Steps:
    """What a `Saga` is made of. Its own kinds have a method each, any other kind `add`."""

    name: str
    stack: str

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._owned: dict[tuple[str, str], str] = {}
        self._frozen = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order they were added."""
        return tuple(self._steps.values())

    def add(self, step: S) -> S:
        """Add a step of any kind, also of one that alma does not know: see docs/steps.md."""
        if not isinstance(step, Step):
            raise DefinitionError(f"add: {step!r} is no step.")
        if self._frozen:
            raise DefinitionError(
                f'Saga "{self.name}" has run and is frozen: step "{step.name}" cannot be added.'
            )
        if step.name in self._steps:
            raise DefinitionError(f'Saga "{self.name}" has two steps named "{step.name}".')
        check_ready(step)
        claim(step, self._owned)
        step.join(self)
        self._steps[step.name] = step
        return step

    def add_stack(
        self,
        name: str,
        program: Callable[[], Any] | None = None,
        *,
        work_dir: str | Path | None = None,
        project: str | None = None,
        config: Mapping[str, Any] | None = None,
        compensation: StackCompensation = "destroy",
        resolver: Resolver | None = None,
        existed: Callable[..., Any] | None = None,
        opts: LocalWorkspaceOptions | None = None,
        **options: Unpack[StepOptions],
    ) -> StackStep:
        """Add a Pulumi stack: an inline `program` (a callable) or a project in `work_dir`.

        The `project` is named `<saga>-<step>`, or as its Pulumi.yaml says.
        `inputs` and `config` become the stack's config: outputs of other steps, JSON values or
        `Secret`s. A callable `compensation` is called before the stack's destroy, to drain or
        empty; "retain" leaves the stack as it is and names it as a leftover. The `resolver` says
        what became of a create that was cut off (see `PendingCreate`). `existed` is called before
        the first create, with nothing or a `Context`, and returns the ids or ARNs that are there
        already: what the stack takes over of them, an undo leaves. `opts` are
        `LocalWorkspaceOptions` of `pulumi.automation`; docs/automation-api.md says what of them
        fits. The other options are those of every step: see `StepOptions`.
        """
        workspace = Workspace(f'Step "{name}"', opts)
        program, work_dir = workspace.source(program, work_dir)
        project = workspace.project(project)
        if work_dir is None:
            project = project or f"{self.name}-{name}"
        return self.add(
            StackStep(
                name=name,
                project=project or "",
                program=program,
                work_dir=None if work_dir is None else Path(work_dir),
                config=config or {},
                compensation=compensation,
                resolver=resolver,
                existed=existed,
                options=workspace.options(self.stack, inline=work_dir is None),
                **chosen(options),
            )
        )

    @overload
    def add_step(
        self,
        action: Callable[..., Any],
        compensation: Undo = None,
        *,
        name: str | None = None,
        **options: Unpack[StepOptions],
    ) -> ActionStep: ...

    @overload
    def add_step(
        self,
        name: str | None = None,
        action: Callable[..., Any] = ...,
        compensation: Undo = None,
        **options: Unpack[StepOptions],
    ) -> ActionStep: ...

    def add_step(
        self,
        *given: Any,
        name: str | None = None,
        action: Any = None,
        compensation: Any = None,
        **options: Unpack[StepOptions],
    ) -> ActionStep:
        """Add a pair of callables, plain or async, with no argument or one `Context`.

        `add_step(action, compensation)`, by position or by name; a string before them is the
        step's name, which else is the action's own.
        What the action returns (a dict, or one value) are the step's outputs. Both must be
        idempotent: after a crash an action in doubt is repeated with the same `context.key`
        when the run goes forward, and compensated when it goes back. `compensation="none"` says
        that there is nothing to undo (a check, a notice). Without any, alma cannot know: the step
        is then named as a leftover when the run is undone.
        """
        name, action, compensation = pair_of(given, name, action, compensation)
        return self.add(
            ActionStep(
                name=name,
                action=action,
                compensation=compensation,
                **chosen(options),
            )
        )

    def freeze(self) -> None:
        """No more steps can be added: a run has started."""
        self._frozen = True
