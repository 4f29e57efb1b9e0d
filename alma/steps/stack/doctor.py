"""What stacks need on this machine, and what unfinished runs need of it. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from alma.core.redaction import without_credentials
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.validation import NAME
from alma.errors import AlmaError
from alma.pulumi import checkpoint, plugins
from alma.pulumi.backend import Backend
from alma.pulumi.cli import Cli, find_cli, parse
from alma.pulumi.engine import StackRef
from alma.pulumi.machine import require_machine
from alma.pulumi.passphrase import check_passphrase
from alma.pulumi.recovery import locks_of
from alma.steps.base import Check, DoctorOptions
from alma.steps.stack.localstack import localstack_problem
from alma.system.environment import PULUMI, PYTHON
from alma.system.processes import HOST

_PLUGINS: Final = {
    ("resource", "pulumi-python"): "programs with dynamic providers",
    ("language", "python"): "projects with a work_dir and `runtime: python`",
    ("language", "yaml"): "projects with a work_dir and `runtime: yaml`",
}
_ANY: Final = (StackRef(project="any", stack="any"),)
"""All stacks on one backend have their directories in one place."""
_INSTALL: Final = "It comes with Pulumi: https://www.pulumi.com/docs/install/"


async def examine(asked: DoctorOptions) -> Sequence[Check]:
    """In the order in which a run needs it."""
    environ = asked.environ
    backend = Backend.choose(asked.cwd, environ)
    cli, found = _cli(environ)
    refs = _stacks(asked.runs)
    checks = [found, _sdk(cli), *_plugins(cli, environ)]
    checks += _needed(refs, backend, cli, environ)
    checks.append(await _backend(backend, refs, cli, environ))
    checks += [await _passphrase(backend, refs, cli, environ), *_locks(backend)]
    checks += Check.flags("Pulumi", environ, PULUMI, PYTHON)
    for run in asked.runs:
        checks += _of_run(run, backend.root)
    return checks


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


def _stacks(runs: Sequence[RunStatus]) -> list[StackRef]:
    """The stacks that runs have made or may go on with: all but those that are gone."""
    return [
        StackRef(
            project=step.definition.project,
            stack=run.definition.stack,
            work_dir=step.definition.work_dir if Path(step.definition.work_dir).is_dir() else "",
        )
        for run in runs
        for step in run.steps.values()
        if step.definition.project and step.state is not SagaState.COMPENSATED
    ]


# -- state -----------------------------------------------------------------------------------


async def _backend(
    backend: Backend, refs: Sequence[StackRef], cli: Cli | None, environ: Mapping[str, str]
) -> Check:
    from alma.pulumi.cli import PulumiCli

    try:
        backend.check(environ)
        if cli is not None:
            reader = PulumiCli(cli=cli.path, environment=backend.environment(environ))
            await require_machine(reader, backend, refs or _ANY, environ)
            if backend.root is None:
                await reader.whoami()
    except AlmaError as error:
        return Check(name="backend", level="fail", message=error.message, mend=error.hint)
    later = " (made by the first run)" if backend.root and not backend.root.exists() else ""
    return Check(name="backend", level="ok", message=f"{without_credentials(backend.url)}{later}")


async def _passphrase(
    backend: Backend, refs: Sequence[StackRef], cli: Cli | None, environ: Mapping[str, str]
) -> Check:
    from alma.pulumi.cli import PulumiCli

    try:
        if cli is not None:
            reader = PulumiCli(cli=cli.path, environment=backend.environment(environ))
            await check_passphrase(reader, backend, refs, environ, remember=False)
    except AlmaError as error:
        return Check(name="passphrase", level="fail", message=error.message, mend=error.hint)
    own = backend.own_passphrase
    if own is None:
        by = "PULUMI_CONFIG_PASSPHRASE"
        message = f"from {by if by in environ else f'{by}_FILE'}"
    elif not own.exists():
        message = f"{own} (made by the first run)"
    elif own.stat().st_mode & 0o077:
        mend = f"chmod 600 {own}"
        message = f"{own} can be read by others"
        return Check(name="passphrase", level="warn", message=message, mend=mend)
    else:
        message = str(own)
    return Check(name="passphrase", level="ok", message=message)


def _locks(backend: Backend) -> Iterator[Check]:
    if backend.root is None:
        return
    folder = backend.root / ".pulumi" / "locks" / "organization"
    for directory in sorted(folder.glob("*/*")):
        if not (NAME.fullmatch(directory.parent.name) and NAME.fullmatch(directory.name)):
            continue  # None of alma's.
        ref = StackRef(project=directory.parent.name, stack=directory.name)
        for lock in locks_of(backend.root, ref):
            message = f"stack {ref.project}/{ref.stack} is locked by {lock.holder}"
            if lock.is_proven_dead():
                mend = (
                    f"Its holder is not here: resume its run, or delete {lock.path}. If it was in "
                    "a container of this host's name, see there first"
                )
                yield Check(name="lock", level="warn", message=message, mend=mend)
            elif lock.host == HOST:
                yield Check(name="lock", level="ok", message=f"{message}, who may be at work")
            else:
                mend = f"Wait for it to end; if it is known to be dead there, delete {lock.path}"
                yield Check(name="lock", level="warn", message=message, mend=mend)


# -- runs ------------------------------------------------------------------------------------


def _of_run(run: RunStatus, root: Path | None) -> Iterator[Check]:
    if run.state is SagaState.FAILED or not run.state.is_final:
        yield from _localstack(run)
    for step in run.steps.values():
        if step.started is not None and step.definition.project and root is not None:
            yield from _pending(run, step, root)


def _localstack(run: RunStatus) -> Iterator[Check]:
    """The LocalStack that a run needs to be gone on with or undone."""
    localstack = run.definition.aws
    if localstack is None:
        return
    message = f"LocalStack at {localstack.url}, where AWS steps of {run.definition.target} went,"
    if why := localstack_problem(localstack):
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
