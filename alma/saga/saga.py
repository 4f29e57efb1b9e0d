"""The definition: a `Saga`, its steps and the outputs they pass on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack

from alma.core.definition import Definition, FailurePolicy, LocalStack, check_dag, target_of
from alma.core.ttl import read_ttl
from alma.core.validation import check_name
from alma.errors import DefinitionError
from alma.saga.arguments import (
    RunOptions,
    called_in,
    check_settings,
    checked_secrets_provider,
    checked_url,
    made_in,
)
from alma.saga.flow import FlowSteps
from alma.saga.notify import Notify, checked
from alma.saga.order import in_order
from alma.saga.overrides import placed
from alma.steps.step import prewarmed

if TYPE_CHECKING:
    from alma.core.result import Result


class Saga(FlowSteps):
    """Several steps of which all take effect, or none.

    Without a `name` it is called as the file it is made in, or `saga` where there is none.
    `stack` is the Pulumi stack name that the steps share (dev, staging, ...); `parallelism` is how
    many operations may be under way at once; `on_failure` is "compensate" (undo everything that
    started) or "stop" (leave it all as it is, to look at). `backend` is the URL of Pulumi's state,
    for stacks whose project does not say its own (docs/backends.md); `secrets_provider` encrypts
    the secrets of stacks that are made anew ("awskms://..."). With `aws=LocalStack(...)` AWS steps
    go there; what a step, its project or its program says itself of the AWS provider wins.
    `organization` is Pulumi Cloud's: the stacks are `organization/project/stack`. `ttl` ("4h", a
    timedelta) is how long what a run brings up is to stay: then `alma-pulumi reap` takes it down.
    `notify` are the webhooks, channels and commands that are told of its runs (docs/notices.md).

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
        secrets_provider: str | None = None,
        organization: str | None = None,
        ttl: str | timedelta | None = None,
        notify: Iterable[Notify] = (),
    ) -> None:
        super().__init__()
        self.file = made_in(sys._getframe(1).f_globals)  # noqa: SLF001 - `inspect` is 10 ms
        self.name = check_name("saga", called_in(self.file) if name is None else name)
        self.stack, self.organization = placed(stack, organization)
        check_settings(self.name, parallelism, on_failure, aws)
        self.parallelism = parallelism
        self.aws = aws
        self.backend = checked_url(backend)
        self.secrets_provider = checked_secrets_provider(secrets_provider)
        self.on_failure: FailurePolicy = on_failure
        self.ttl = None if ttl is None else read_ttl(f'Saga "{self.name}": ttl', ttl)
        self.notify = checked(self.name, notify)
        """Who is told of its runs, each as the journal has it and with its secrets."""
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

    def definition(self) -> Definition:
        """The saga as frozen data, with its dependencies resolved.

        Raises DefinitionError for no steps, unknown steps in `after`, and cycles.
        """
        if not self._steps:
            raise DefinitionError(f'Saga "{self.name}" has no steps.')
        definition = Definition(
            saga=self.name,
            stack=self.stack,
            organization=self.organization,
            steps=in_order(self.steps),
            parallelism=self.parallelism,
            on_failure=self.on_failure,
            aws=self.aws,
        )
        check_dag(definition)
        return definition

    async def execute(self, **options: Unpack[RunOptions]) -> Result:
        """Run the saga to its end, on the running event loop.

        Returns a result for COMPLETED; raises SagaFailed (with `.result`) for COMPENSATED and
        FAILED, SagaInterrupted when stopped half way, other AlmaErrors when nothing was started.
        `journal` is its path (default `.alma/journal.db`); another's is an UntrustedJournalError,
        unless `trust` makes it one's own. SIGINT, SIGTERM and SIGHUP interrupt it, or with
        `handle_signals=False` are left to the host (`alma.runner.interrupt`). Stacks that the last
        run left in another backend are refused, unless `accept_backend`. `steps=`, `ttl=`,
        `accept_existing`: docs/cli.md.
        """
        with prewarmed(() if options.get("changed") else self.steps, self.stack):
            from alma.runner.start import up

            return await up(self, **options)

    def run(self, **options: Unpack[RunOptions]) -> Result:
        """`execute`, for a script: makes an event loop of its own. Raises as `execute` does."""
        with prewarmed(() if options.get("changed") else self.steps, self.stack):
            from alma.runner.start import run_sync, up

            return run_sync(lambda: up(self, **options))
