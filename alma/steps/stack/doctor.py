"""What stacks need on this machine, and what unfinished runs need of it. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from alma.core.run import RunStatus, SagaState, StepStatus
from alma.errors import AlmaError, RefusedError
from alma.pulumi import checkpoint, plugins
from alma.pulumi.backend import Backend
from alma.pulumi.cli import Cli, find_cli, parse
from alma.pulumi.engine import StackRef
from alma.steps.base import Check, DoctorOptions
from alma.steps.stack.localstack import is_here, localstack_problem
from alma.steps.stack.state_doctor import StateDoctor
from alma.system.environment import PULUMI, PYTHON
from alma.system.processes import other_users

_PLUGINS: Final = {
    ("resource", "pulumi-python"): "programs with dynamic providers",
    ("language", "python"): "projects with a work_dir and `runtime: python`",
    ("language", "yaml"): "projects with a work_dir and `runtime: yaml`",
}
_SHOWN: Final = 5
"""Names of others."""
_INSTALL: Final = "It comes with Pulumi: https://www.pulumi.com/docs/install/"


async def examine(asked: DoctorOptions) -> Sequence[Check]:
    """In the order in which a run needs it."""
    environ = asked.environ
    cli, found = _cli(environ)
    checks = [found, _sdk(cli), *_plugins(cli, environ)]
    checks += Check.flags("Pulumi", environ, PULUMI, PYTHON)
    checks += _others()
    try:
        state = StateDoctor(asked, cli)
    except RefusedError as error:  # nothing in it is looked at
        checks.append(Check(name="backend", level="fail", message=error.message, mend=error.hint))
        return checks
    for backend, refs in state.backends.items():
        checks += _needed(refs, backend, cli, environ)
    checks += await state.examine()
    for run in asked.runs:
        checks += _of_run(run, state, remote=asked.remote)
    return checks


# -- the machine -----------------------------------------------------------------------------


def _others() -> Iterator[Check]:
    """Whoever is here can speak to the engine of a CLI that is at work."""
    if others := other_users():
        who = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
        message = f"others have processes on this machine ({who}), and can act as you during a run"
        mend = "Use a container or a runner of its own: Pulumi's engine asks nobody who they are"
        yield Check(name="machine", level="warn", message=message, mend=mend)


# -- tools -----------------------------------------------------------------------------------


def _cli(environ: Mapping[str, str]) -> tuple[Cli | None, Check]:
    # Without a home, `find_cli` keeps no note of the version: this command writes nothing.
    homeless = {k: v for k, v in environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    try:
        cli = find_cli(homeless)
    except AlmaError as error:
        return None, Check(name="cli", level="fail", message=error.message, mend=error.hint)
    return cli, Check(name="cli", level="ok", message=f"Pulumi {cli.version} at {cli.path}")


def _sdk(cli: Cli | None) -> Check:
    try:
        version = metadata.version("pulumi")
    except metadata.PackageNotFoundError:
        mend = "Install it: pip install pulumi"
        return Check(name="sdk", level="fail", message="the package pulumi is missing", mend=mend)
    message = f"the Python package pulumi is {version}"
    if cli is not None and parse(version)[:2] != parse(cli.version)[:2]:
        mend = f"Install the package of the CLI's version: pip install pulumi=={cli.version}"
        return Check(
            name="sdk", level="warn", message=f"{message}, the CLI is {cli.version}", mend=mend
        )
    return Check(name="sdk", level="ok", message=message)


def _plugins(cli: Cli | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """As Pulumi looks for them: on PATH, beside the CLI, among the installed plugins."""
    for (kind, name), use in _PLUGINS.items():
        path = plugins.find(kind, name, cli, environ)
        if path:
            message = f"pulumi-{kind}-{name} at {path}"
            yield Check(name="plugin", level="ok", message=message)
        else:
            message = f"pulumi-{kind}-{name} was not found; only {use} need it"
            yield Check(name="plugin", level="warn", message=message, mend=_INSTALL)


def _needed(
    refs: Sequence[StackRef], backend: Backend, cli: Cli | None, environ: Mapping[str, str]
) -> Iterator[Check]:
    try:
        for words, mend in plugins.missing(refs, backend.root, cli, environ):
            yield Check(name="plugin", level="fail", message=words, mend=mend)
    except AlmaError as error:  # a project file that cannot be read
        yield Check(name="plugin", level="fail", message=error.message, mend=error.hint)


# -- runs ------------------------------------------------------------------------------------


def _of_run(run: RunStatus, state: StateDoctor, *, remote: bool) -> Iterator[Check]:
    if run.state is SagaState.FAILED or not run.state.is_final:
        yield from _localstack(run, remote=remote)
    for step in run.steps.values():
        if step.started is not None and step.definition.project:
            backend = state.of(run, step)
            if backend is not None and backend.root is not None:
                yield from _pending(run, step, backend.root)


def _localstack(run: RunStatus, *, remote: bool) -> Iterator[Check]:
    """The LocalStack that a run needs to be gone on with or undone.

    The journal names it, which may come from elsewhere: so only one on this machine is asked.
    """
    localstack = run.definition.aws
    if localstack is None:
        return
    message = f"LocalStack at {localstack.url}, where AWS steps of {run.definition.target} went,"
    if not remote and not is_here(localstack):
        mend = "To ask it: alma-pulumi doctor --remote"
        yield Check(
            name="localstack", level="ok", message=f"{message} is elsewhere: not asked", mend=mend
        )
    elif why := localstack_problem(localstack):
        mend = "Start it: localstack start -d"
        yield Check(name="localstack", level="warn", message=f"{message} {why}", mend=mend)
    else:
        yield Check(name="localstack", level="ok", message=f"{message} answers")


def _pending(run: RunStatus, step: StepStatus, root: Path) -> Iterator[Check]:
    ref = StackRef(project=step.definition.project, stack=run.definition.stack)
    try:
        pending = checkpoint.read(root, ref).pending
    except (AlmaError, checkpoint.NeedsCli):
        return  # The stack's own reader will say so, where somebody needs it.
    for operation in pending:
        message = f"stack {ref.project}/{ref.stack}: {operation.name} was cut off "
        message += f"while {operation.kind}: {operation.urn}"
        mend = f'Give step "{step.name}" a resolver, or look at the provider'
        yield Check(name="pending", level="warn", message=message, mend=mend)
