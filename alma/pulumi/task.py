"""From a request to the task that a worker is given: config split by where each value may go.

Imports no pulumi.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from alma.core.search_path import python_first
from alma.core.secret import Secret, secrets_in, unwrap
from alma.errors import BackendError
from alma.pulumi.backend import Backend, python_environment
from alma.pulumi.cli import Cli
from alma.pulumi.engine import StackRef, UpRequest
from alma.pulumi.messages import Task, TaskKind
from alma.pulumi.project import declared_arrays, directory_of
from alma.system import files
from alma.system.environment import PULUMI, PYTHON, flags_in, secrets_in_environment

_TELLING_PASSPHRASE: Final = 12
"""Characters. Taking a passphrase such as `test` out of every log would take out much else."""


@dataclass(frozen=True, kw_only=True, repr=False)
class SplitConfig:
    """Where each value goes: `plain` to the settings file, the rest as the names say."""

    plain: Mapping[str, Any]
    for_program: Mapping[str, str]
    for_cli: Mapping[str, str]


def split_config(ref: StackRef, config: Mapping[str, Any]) -> SplitConfig:
    """Split by secrecy; keys get their namespace, which is the project where none is given.

    A secret of the project goes straight to an inline program. Secrets of other namespaces are
    for providers, which the CLI configures, and a program in another process has them from the
    CLI as well. A value with a secret anywhere inside is secret as a whole.
    """
    plain: dict[str, Any] = {}
    for_program: dict[str, str] = {}
    for_cli: dict[str, str] = {}
    for key, value in config.items():
        full = key if ":" in key else f"{ref.project}:{key}"
        if not any(True for _ in secrets_in(value)):
            plain[full] = _jsonable(value)
        elif ref.work_dir and full in declared_arrays(ref) and (parts := _texts(unwrap(value))):
            # One text would be no array to Pulumi, which seals nothing but texts.
            for_cli |= {f"{full}[{index}]": text for index, text in enumerate(parts)}
        elif ref.work_dir or not full.startswith(f"{ref.project}:"):
            for_cli[full] = text_of(unwrap(value))
        else:
            for_program[full] = text_of(unwrap(value))
    return SplitConfig(plain=plain, for_program=for_program, for_cli=for_cli)


def _texts(value: Any) -> list[str]:
    """The elements of a list of texts; of anything else none."""
    texts = value if isinstance(value, list | tuple) else ()
    return [*texts] if all(isinstance(text, str) for text in texts) else []


def text_of(value: Any) -> str:
    """A value as a program gets it from Pulumi: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _jsonable(value: Any) -> Any:
    """Plain lists and dicts, whatever the caller's types of them are."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    return value


def build_task(
    kind: TaskKind,
    ref: StackRef,
    request: UpRequest | None,
    *,
    operation: str,
    log_dir: str,
    cli: Cli,
    backend: Backend,
    cwd: Path,
    environ: Mapping[str, str],
) -> Task:
    """The task; its log directory is made. Raises `BackendError` when that cannot be."""
    environment = backend.environment({**environ, **ref.options.env}, operation=operation)
    search = python_first([entry or str(cwd) for entry in sys.path], environ)
    if not ref.work_dir:
        # A project of its own may have its own Python; an inline program's plugins use ours.
        environment |= python_environment(search)
    log_dir = _log_directory(log_dir)
    if dropped := flags_in({**environ, **ref.options.env}, PULUMI, PYTHON):
        _note(f"{log_dir}/pulumi.log", f"Flags by environment, not passed on: {', '.join(dropped)}")
    given = dict(request.config) if request else {}
    config = split_config(ref, given)
    return Task(
        kind=kind,
        operation=operation,
        project=ref.project,
        stack=ref.stack,
        organization=ref.organization,
        cli=cli.path,
        cli_version=cli.version,
        directory=str(directory_of(ref, backend.url, environ)),
        project_dir=ref.work_dir,
        options=ref.options,
        log_dir=log_dir,
        cwd=str(cwd),
        search=tuple(search),
        environment=environment,
        create=request.create if request else False,
        refresh=request.refresh if request else False,
        program=request.program if request else None,
        run_program=kind in ("up", "preview") or (kind == "destroy" and request is not None),
        plain=config.plain,
        defaults=request.defaults if request else {},
        injected=config.for_program,
        sealed=config.for_cli,
        secrets=(
            *secrets_in(given),
            *_telling_passphrase(backend, environ),
            *secrets_in_environment(environment),
        ),
    )


def set_aside(task: Task, place: Path, *, exists: bool = True, passphrase: bool = False) -> Task:
    """The task with what it writes in `place`; of a stack that does not exist the state as well.

    `passphrase`: that its secrets are encrypted with is alma's own.
    """
    environment = dict(task.environment)
    if not exists:
        state = place / "state"
        files.make_directory(state)
        environment["PULUMI_BACKEND_URL"] = state.as_uri()
        if passphrase:  # a user's own is meant for the salt in their settings, too
            environment["PULUMI_CONFIG_PASSPHRASE"] = "preview"  # noqa: S105 - thrown away
    return replace(
        task,
        directory=str(place / "project"),
        environment=environment,
        organization=task.organization if exists else "",  # files know none
        create=not exists,
    )


def _telling_passphrase(backend: Backend, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    passphrase = backend.passphrase(environ)
    return (Secret(passphrase),) if len(passphrase) >= _TELLING_PASSPHRASE else ()


def _log_directory(path: str) -> str:
    """Made for this user alone: programs print what they like."""
    directory = Path(path).absolute()
    try:
        files.make_new_directory(directory)
    except OSError as error:
        raise BackendError(
            f"The log directory {directory} cannot be made: {error.strerror}."
        ) from error
    return str(directory)


def _note(log: str, line: str) -> None:
    """Say it before what the CLI says; only for this user to read."""
    with files.open_log(Path(log)) as file:
        file.write(f"alma: {line}\n".encode())
