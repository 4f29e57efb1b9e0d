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

from alma.core.secret import Secret, secrets_in, unwrap
from alma.core.struct import Frozen
from alma.errors import BackendError
from alma.pulumi.backend import Backend, python_environment
from alma.pulumi.cli import Cli
from alma.pulumi.engine import StackRef, UpRequest
from alma.pulumi.messages import Task, TaskKind
from alma.pulumi.project import directory_of


@dataclass(frozen=True, kw_only=True, repr=False)
class SplitConfig:
    """`plain`: to the settings file. `injected`: to the program's process. `sealed`: to the CLI."""

    plain: Mapping[str, Any]
    injected: Mapping[str, str]
    sealed: Mapping[str, str]


def split(ref: StackRef, config: Mapping[str, Any]) -> SplitConfig:
    """Split by secrecy; keys get their namespace, which is the project where none is given.

    A secret of the project goes straight to an inline program. Secrets of other namespaces are
    for providers, which the CLI configures, and a program in another process has them from the
    CLI as well. A value with a secret anywhere inside is secret as a whole.
    """
    plain: dict[str, Any] = {}
    injected: dict[str, str] = {}
    sealed: dict[str, str] = {}
    for key, value in config.items():
        full = key if ":" in key else f"{ref.project}:{key}"
        if not any(True for _ in secrets_in(value)):
            plain[full] = _jsonable(value)
        elif ref.work_dir or not full.startswith(f"{ref.project}:"):
            sealed[full] = text_of(unwrap(value))
        else:
            injected[full] = text_of(unwrap(value))
    return SplitConfig(plain=plain, injected=injected, sealed=sealed)


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


_TELLING_PASSPHRASE: Final = 12
"""Characters. Taking a passphrase such as `test` out of every log would take out much else."""


class Tasking(Frozen):
    """What all tasks of an engine share."""

    backend: Backend
    cwd: Path
    environ: Mapping[str, str]

    def task(
        self,
        kind: TaskKind,
        cli: Cli,
        ref: StackRef,
        operation: str,
        log_dir: str,
        request: UpRequest | None = None,
    ) -> Task:
        """The task; its log directory is made. Raises `BackendError` when that cannot be."""
        environment = self.backend.environment(self.environ, operation=operation)
        search = [entry or str(self.cwd) for entry in sys.path]
        if not ref.work_dir:
            # A project of its own may have its own Python; an inline program's plugins use ours.
            environment |= python_environment(search)
        given = dict(request.config) if request else {}
        config = split(ref, given)
        return Task(
            kind=kind,
            operation=operation,
            project=ref.project,
            stack=ref.stack,
            cli=cli.path,
            directory=str(directory_of(ref, self.backend.url, self.environ)),
            project_dir=ref.work_dir,
            log_dir=_log_directory(log_dir),
            cwd=str(self.cwd),
            search=tuple(search),
            environment=environment,
            create=request.create if request else False,
            program=request.program if request else None,
            plain=config.plain,
            defaults=request.defaults if request else {},
            injected=config.injected,
            sealed=config.sealed,
            secrets=(*secrets_in(given), *self._passphrase()),
        )

    def _passphrase(self) -> tuple[Secret, ...]:
        passphrase = self.backend.passphrase(self.environ)
        return (Secret(passphrase),) if len(passphrase) >= _TELLING_PASSPHRASE else ()


def _log_directory(path: str) -> str:
    """Made for this user alone: programs print what they like."""
    directory = Path(path).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BackendError(
            f"The log directory {directory} cannot be made: {error.strerror}."
        ) from error
    return str(directory)
