"""One operation in a worker: files, processes, the program's host, and what came of it.

Imports no pulumi until there is a program to serve: a project of its own, and whatever only
takes down, does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Protocol

from alma.core.events import Failure
from alma.core.redaction import Redactor
from alma.errors import AlmaError
from alma.pulumi.automation import arguments
from alma.pulumi.automation.command import Command, CommandError, InterruptedBeforeStartError
from alma.pulumi.automation.eventlog import EventLog
from alma.pulumi.automation.observer import Observer
from alma.pulumi.automation.stack import Workspace
from alma.pulumi.failures import readable, translate
from alma.pulumi.messages import Report, Task
from alma.system.processes import identify

Tell = Callable[[tuple[Any, ...]], None]


class Interruptible(Protocol):
    """Where an operation says how it can be interrupted."""

    def begin(self, interrupt: Callable[[], None]) -> None:
        """From now on, `interrupt` stops it."""
        ...


class IncompleteError(Exception):
    """The CLI ended well, but what it did has not all been told."""


def perform(task: Task, tell: Tell, running: Interruptible) -> Report:
    """Do what the task says; every expected failure is in the report."""
    redact = Redactor()
    redact.learn(task.secrets)
    observer = Observer(lambda urn, op, done: tell(("resource", urn, op, done)))
    log = Path(task.log_dir) / "pulumi.log"
    command = Command(task.cli, log, lambda pid: tell(("process", identify(pid))))
    running.begin(command.interrupt)
    failure: Failure | None = None
    try:
        _run(task, command, observer, redact)
    except CommandError as error:
        failure = translate(
            str(error),
            observer.errors,
            interrupted=command.interrupted,
            log=str(log),
            exit_code=command.exit_code,
            ran_program=task.kind in ("up", "preview"),
        )
    except InterruptedBeforeStartError:
        failure = translate("", (), interrupted=True, log=str(log))
    except AlmaError as error:
        failure = Failure(kind="program", message=error.message, hint=error.hint, log=str(log))
    except IncompleteError as error:
        hint = f"Its events go to a file without a name in {gettempdir()}: is there room?"
        failure = Failure(kind="unknown", message=str(error), hint=hint, log=str(log))
    return Report(
        failure=failure,
        changes=observer.changes,
        resources=tuple(observer.touched.values()),
        said={urn: readable(message) for urn, message in reversed(observer.errors) if urn},
        lasting=observer.lasting,
        spent=failure is not None,
        unsettled=(command.exit_code or 0) < 0,
    )


def _run(task: Task, command: Command, observer: Observer, redact: Redactor) -> None:
    with _served(task, redact) as address:
        workspace = Workspace(task, command)
        if task.kind == "remove":
            workspace.remove_record()
            return
        settings = None if task.kind == "destroy" else workspace.write_config()
        if task.create:
            workspace.create_record()
        if settings is not None and task.sealed:
            workspace.seal_config(settings)
        with EventLog(observer) as events:
            argv = arguments.operation(
                task.kind,
                task.stack,
                event_log=events.path,
                settings=str(settings or ""),
                address=address,
                targets=task.targets,
            )
            workspace.run(argv, inherited=[events.descriptor])
    if not events.complete:
        # What was made to last, or in doubt, is known from nowhere else.
        raise IncompleteError("The Pulumi CLI ended well, but did not tell all that it did.")


@contextmanager
def _served(task: Task, redact: Redactor) -> Iterator[str]:
    """The address of the program's host; empty where the CLI runs the program, or none is run."""
    if task.program is None and task.replay is None:
        yield ""
        return
    from alma.pulumi.automation.serving import host_of, serving

    with serving(host_of(task, redact)) as address:
        yield address
