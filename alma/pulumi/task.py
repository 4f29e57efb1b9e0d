"""From a request to the task that a worker is given. Imports no pulumi."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from alma.core.secret import Secret, secrets_in
from alma.core.struct import Frozen
from alma.errors import BackendError
from alma.pulumi.backend import Backend, python_environment
from alma.pulumi.cli import Cli
from alma.pulumi.config import split
from alma.pulumi.engine import StackRef, UpRequest
from alma.pulumi.messages import Task, TaskKind
from alma.pulumi.project import directory_of

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
