"""One operation in a worker: files, processes and events through the lean classes."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
from pulumi.automation.errors import CommandError, StackNotFoundError

from alma.engine import dynamic
from alma.engine.command import InterruptedBeforeStartError, LeanCommand
from alma.engine.failures import condense, readable, translate
from alma.engine.frames import Report, Task
from alma.engine.language import serve_with
from alma.engine.playing import serve_replay
from alma.engine.processes import identify
from alma.engine.stack import LeanStack, Observer
from alma.engine.workspace import LeanWorkspace
from alma.errors import AlmaError
from alma.events import Failure
from alma.redact import Redactor

dynamic.mend()

Tell = Callable[[tuple[Any, ...]], None]


class Interruptible(Protocol):
    """Where an operation says how it can be interrupted."""

    def begin(self, interrupt: Callable[[], None]) -> None:
        """From now on, `interrupt` stops it."""
        ...


def perform(task: Task, tell: Tell, running: Interruptible) -> Report:
    """Do what the task says; every expected failure is in the report."""
    redact = Redactor()
    redact.learn(task.secrets)
    observer = Observer(lambda urn, op, done: tell(("resource", urn, op, done)))
    log = Path(task.log_dir) / "pulumi.log"

    command = LeanCommand(
        task.cli, task.cli_version, log, lambda pid: tell(("process", identify(pid)))
    )
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
    except RuntimeError as error:
        # `Stack.preview` without a summary; `up` and `destroy` never get here.
        failure = Failure(kind="unknown", message=str(error), log=str(log))
    return Report(
        failure=failure,
        changes=observer.changes,
        resources=tuple(observer.touched.values()),
        said={urn: readable(message) for urn, message in reversed(observer.errors) if urn},
        lasting=observer.lasting,
        spent=failure is not None,
        unsettled=(command.exit_code or 0) < 0,
    )


def _run(task: Task, command: LeanCommand, observer: Observer, redact: Redactor) -> None:
    program = None if task.program is None else _load(task.program)
    if task.replay is None:
        serve_with(task.injected, redact)
    else:
        serve_replay(task.replay)
    workspace = LeanWorkspace(task, command)
    if task.kind == "remove":
        with suppress(StackNotFoundError):
            workspace.remove_record(task.stack)
        return
    settings: Path | None = None
    if task.kind != "destroy":
        settings = workspace.write_config()
    if task.create:
        workspace.create_stack(task.stack)
    if settings is not None and task.sealed:
        workspace.seal_config(task.stack, settings)
    stack = LeanStack(task.stack, workspace)
    stack.perform(task.kind, program, str(settings) if settings else None, observer, task.targets)


def _load(program: bytes) -> Any:
    # It hands out a class that it has loaded before, with whatever the last operation left in it.
    trackers = vars(cloudpickle.cloudpickle)
    for name in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS"):
        trackers.get(name, {}).clear()
    try:
        return cloudpickle.loads(program)
    except Exception as error:
        traceback.print_exc()
        raise AlmaError(
            f"The program cannot be loaded in a worker process: {condense(traceback.format_exc())}",
            hint="Modules that it uses must be importable there: install them, or set PYTHONPATH.",
        ) from error
