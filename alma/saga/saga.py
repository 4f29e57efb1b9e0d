"""The definition: a `Saga`, its steps and the outputs they pass on. Checked as it is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from alma.core.definition import Definition, FailurePolicy, LocalStack, check_dag, target_of
from alma.core.operation import Resolver
from alma.core.validation import check_name
from alma.errors import DefinitionError
from alma.saga.arguments import (
    RunOptions,
    called_in,
    check_settings,
    checked_url,
    chosen,
    claim,
    made_in,
    pair_of,
)
from alma.saga.overrides import placed
from alma.steps.action import ActionStep
from alma.steps.stack.options import LocalWorkspaceOptions, Workspace
from alma.steps.stack.step import StackCompensation, StackStep
from alma.steps.step import Step, StepOptions, prewarmed

if TYPE_CHECKING:
    from alma.core.result import Result
    from alma.steps.ansible.step import AnsibleStep
    from alma.steps.http.request import Asked
    from alma.steps.http.step import HttpStep
    from alma.steps.terraform.step import TerraformCompensation, TerraformStep

S = TypeVar("S", bound=Step)

Undo = Callable[..., Any] | Literal["none"] | None  # "none": there is nothing to undo


class Saga:
    """Several steps of which all take effect, or none.

    Without a `name` it is called as the file it is made in, or `saga` where there is none.
    `stack` is the Pulumi stack name that the steps share (dev, staging, ...); `parallelism` is how
    many operations may be under way at once; `on_failure` is "compensate" (undo everything that
    started) or "stop" (leave it all as it is, to look at). `backend` is the URL of Pulumi's state,
    for stacks whose project does not say its own (docs/backends.md). With `aws=LocalStack(...)` AWS
    steps go there; what a step, its project or its program says itself of the AWS provider wins.
    `organization` is Pulumi Cloud's: the stacks are `organization/project/stack`.

    Raises DefinitionError, here and in every `add_*`, for what can be seen to be wrong.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        stack: str = "dev",
        parallelism: int = 4,
        on_failure: FailurePolicy = "compensate",
        aws: LocalStack | None = None,
        backend: str | None = None,
        organization: str | None = None,
    ) -> None:
        self.file = made_in(sys._getframe(1).f_globals)  # noqa: SLF001 - `inspect` is 10 ms
        self.name = check_name("saga", called_in(self.file) if name is None else name)
        self.stack, self.organization = placed(stack, organization)
        check_settings(self.name, parallelism, on_failure, aws)
        self.parallelism = parallelism
        self.aws = aws
        self.backend = checked_url(backend)
        self.on_failure: FailurePolicy = on_failure
        self._steps: dict[str, Step] = {}
        self._owned: dict[tuple[str, str], str] = {}
        self._frozen = False
        self.digests: dict[str, str] = {}
        """Of what each step does, as it was when the saga first ran; by step name."""
        self.parameters: Mapping[str, Any] = {}
        self.overrides: Mapping[str, str] = {}
        """Of a command line: what its function was called with (JSON and `Secret`s), and what goes
        before what its file says (`stack`, `organization`)."""

    @property
    def target(self) -> str:
        """What its runs are runs of: see `Definition.target`."""
        return target_of(self.name, self.organization, self.stack)

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

    def add_terraform(
        self,
        name: str,
        work_dir: str | Path,
        *,
        variables: Mapping[str, Any] | None = None,
        program: str = "",
        workspace: str = "",
        compensation: TerraformCompensation = "destroy",
        **options: Unpack[StepOptions],
    ) -> TerraformStep:
        """Add a Terraform root module: applied as it is, with its own backend.

        `workspace` is made where there is none; without one it is the directory's selected one.
        `variables` and `inputs` become its variables; its outputs are the step's, a sensitive
        one a `Secret`. `program` is the CLI: a name or a path, else `ALMA_TERRAFORM`, else
        terraform or tofu, whichever is on PATH. Resources that the state held before the run are
        never destroyed. A callable `compensation` is called before the destroy.
        """
        from alma.steps.terraform.step import TerraformStep

        return self.add(
            TerraformStep(
                name=name,
                work_dir=Path(work_dir),
                variables=variables or {},
                program=program,
                workspace=workspace,
                compensation=compensation,
                **chosen(options),
            )
        )

    def add_ansible(
        self,
        name: str,
        playbook: str | Path,
        *,
        undo_playbook: str | Path | None = None,
        inventory: str | Path | None = None,
        variables: Mapping[str, Any] | None = None,
        secret_outputs: Iterable[str] = (),
        optional_hosts: Iterable[str] = (),
        **options: Unpack[StepOptions],
    ) -> AnsibleStep:
        """Add an Ansible playbook, and the one that undoes it.

        `variables` and `inputs` become extra variables of both. `inventory` is a file, a
        directory, or hosts with a comma ("localhost,"); else what Ansible's own settings say. The
        outputs are what the playbook says by `set_stats`; those in `secret_outputs` are
        `Secret`s. Both playbooks must be idempotent. Without an undo the step is a leftover. A play
        whose pattern matches no host is a failure, unless `optional_hosts` has the pattern.
        """
        from alma.steps.ansible.step import AnsibleStep

        return self.add(
            AnsibleStep(
                name=name,
                playbook=Path(playbook),
                undo_playbook=None if undo_playbook is None else Path(undo_playbook),
                inventory=inventory,
                variables=variables or {},
                secret_outputs=secret_outputs,
                optional_hosts=optional_hosts,
                **chosen(options),
            )
        )

    def add_http(
        self,
        name: str,
        *,
        do: Asked,
        undo: Asked | Literal["none"] | None = None,
        check: Asked | None = None,
        existed: Asked | None = None,
        secret_outputs: Iterable[str] = (),
        **options: Unpack[StepOptions],
    ) -> HttpStep:
        """Add a request to an HTTP API, and the one that undoes it: `Request`s, or callables.

        A callable takes nothing or a `Context`, and returns a `Request`. Each is sent with an
        `Idempotency-Key`, the same for each retry and resume. The fields of the JSON answer are
        the outputs; those in `secret_outputs` are `Secret`s. Where `undo` is answered 404 or 410
        it is gone already. `check` is asked after the undo, and must be answered so. `existed` is
        asked before `do`: unless it is answered 404 or 410, what was there is not undone. `undo` is
        "none" or None as an action's compensation is.
        """
        from alma.steps.http.step import HttpStep

        return self.add(
            HttpStep(
                name=name,
                do=do,
                undo=undo,
                check=check,
                existed=existed,
                secret_outputs=secret_outputs,
                **chosen(options),
            )
        )

    def definition(self) -> Definition:
        """The saga as frozen data, with its dependencies resolved.

        Raises DefinitionError for no steps, unknown steps in `after`, and cycles.
        """
        if not self._steps:
            raise DefinitionError(f'Saga "{self.name}" has no steps.')
        before = (None, *self._steps)
        steps = (step.define(name) for name, step in zip(before, self.steps, strict=False))
        definition = Definition(
            saga=self.name,
            stack=self.stack,
            organization=self.organization,
            steps=tuple(steps),
            parallelism=self.parallelism,
            on_failure=self.on_failure,
            aws=self.aws,
        )
        check_dag(definition)
        return definition

    def freeze(self) -> None:
        """No more steps can be added: a run has started."""
        self._frozen = True

    async def execute(self, **options: Unpack[RunOptions]) -> Result:
        """Run the saga to its end, on the running event loop.

        Returns a result for COMPLETED; raises SagaFailed (with `.result`) for COMPENSATED and
        FAILED, SagaInterrupted when stopped half way, other AlmaErrors when nothing was started.
        `journal` is its path (default `.alma/journal.db`); another's is an UntrustedJournalError,
        unless `trust` makes it one's own. SIGINT, SIGTERM and SIGHUP interrupt it, or with
        `handle_signals=False` are left to the host (`alma.runner.interrupt`). Stacks that the last
        run left in another backend are refused, unless `accept_backend`. `steps=`: docs/cli.md.
        """
        with prewarmed(() if options.get("changed") else self.steps, self.stack):
            from alma.runner.start import up

            return await up(self, **options)

    def run(self, **options: Unpack[RunOptions]) -> Result:
        """`execute`, for a script: makes an event loop of its own. Raises as `execute` does."""
        with prewarmed(() if options.get("changed") else self.steps, self.stack):
            from alma.runner.start import run_sync, up

            return run_sync(lambda: up(self, **options))
