"""One operation in a worker: what is run, what its events say, and the report that comes of it.

The events are those of `sdk/go/common/apitype/events.go` in pulumi/pulumi.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import Any, Protocol

from pulumi.automation import CommandError, ConfigValue, EngineEvent, StepEventMetadata

from alma.core.events import Failure, ResourceChange
from alma.core.redaction import Redactor
from alma.errors import AlmaError
from alma.pulumi.automation.drifted import Looked
from alma.pulumi.automation.host import served
from alma.pulumi.automation.program import ProgramEnd, ProgramHost, load
from alma.pulumi.automation.replay import ReplayHost
from alma.pulumi.automation.stack import Command, InterruptedBeforeStartError, Stack, Workspace
from alma.pulumi.doubts import unseen
from alma.pulumi.failures import readable, translate
from alma.pulumi.messages import Progress, Report, Started, Task
from alma.system.processes import identify

Tell = Callable[[Progress | Started], None]

_UNTOUCHED = frozenset({"same", "read", "refresh"})
"""Operations that change nothing outside."""


class Interruptible(Protocol):
    """Where an operation says how it can be interrupted."""

    def begin(self, interrupt: Callable[[], None]) -> None:
        """From now on, `interrupt` stops it."""
        ...

    @property
    def known(self) -> Semaphore:
        """Released for each CLI that was started, once it is in the journal."""
        ...


class IncompleteError(Exception):
    """The CLI ended well, but what it did has not all been told."""


class Events:
    """Collects an operation's events: changes, touched resources, errors with their URN.

    Called on a thread of the SDK's, one event after the other. `tell(urn, op, done)` must not
    block. `complete` says whether this was everything, from the first event to the engine's own
    end: the SDK passes over an event that it cannot read, of which only its number tells. `heard`:
    there was one at all, so the engine was started, which is after the stack is locked. What a look
    for drift sees of each resource goes to `looked`, if there is one.
    """

    def __init__(self, tell: Callable[[str, str, bool], None]) -> None:
        self.looked: Looked | None = None
        self.changes: dict[str, int] = {}
        self.errors: list[tuple[str, str]] = []
        self.lasting: dict[str, str] = {}
        self.touched: dict[tuple[str, str], ResourceChange] = {}
        self.complete = False
        self.heard = False
        self._next = 0
        self._tell = tell

    def __call__(self, event: EngineEvent) -> None:
        """Note one event. Debug diagnostics hold secrets in plaintext: only errors are kept."""
        self.heard = True
        if summary := event.summary_event:
            changes = summary.resource_changes or {}
            self.changes = {str(op): int(count) for op, count in changes.items()}
        elif diagnostic := event.diagnostic_event:
            if diagnostic.severity == "error":
                self.errors.append((diagnostic.urn or "", diagnostic.message))
        elif started := event.resource_pre_event:
            self._note(started.metadata, done=False)
        elif ended := event.res_outputs_event:
            self._note(ended.metadata, done=True)
            if self.looked is not None:
                self.looked.note(ended.metadata)
        elif failed := event.res_op_failed_event:
            self._tell(failed.metadata.urn, failed.metadata.op.value, True)  # noqa: FBT003
            self._doubt(failed.metadata)
        if event.sequence == self._next:  # From a gap on it never is.
            self._next += 1
            self.complete = event.cancel_event is not None

    def _doubt(self, metadata: StepEventMetadata) -> None:
        """Something may have happened that the state does not tell of: its end was not seen."""
        urn, operation = metadata.urn, metadata.op.value
        said = (message for other, message in self.errors if other == urn)
        doubt = next(filter(None, (unseen(operation, message) for message in said)), "")
        if doubt:
            known = "" if operation.startswith("create") or not metadata.old else metadata.old.id
            self.touched[urn, doubt] = ResourceChange(urn=urn, op=doubt, id=known or "")

    def _note(self, metadata: StepEventMetadata, *, done: bool) -> None:
        urn, operation = metadata.urn, metadata.op.value
        self._tell(urn, operation, done)
        if not done or operation in _UNTOUCHED or metadata.type == "pulumi:pulumi:Stack":
            return
        old, new = metadata.old, metadata.new
        if operation.startswith("create") and new is not None:
            option = "retainOnDelete" if new.retain_on_delete else ""
            option = "protect" if new.protect else option
            if option:
                self.lasting[urn] = option
        identity = (new.id if new else "") or (old.id if old else "")
        self.touched[urn, operation] = ResourceChange(urn=urn, op=operation, id=identity)


def perform(task: Task, tell: Tell, running: Interruptible) -> Report:
    """Do what the task says; every expected failure is in the report."""
    redact = Redactor()
    redact.learn(task.secrets)
    events = Events(lambda urn, op, done: tell(Progress(urn, op, done)))
    if task.kind == "drift":
        events.looked = Looked()

    def started(pid: int) -> None:
        tell(Started(identify(pid)))
        running.known.acquire()

    command = Command(task, started)
    log = str(command.log)
    running.begin(command.interrupt)
    failure: Failure | None = None
    end = ProgramEnd()
    try:
        _run(task, command, events, redact, end)
    except CommandError:
        failure = translate(
            command.said,
            events.errors,
            interrupted=command.interrupted,
            log=log,
            exit_code=command.exit_code,
            ran_program=task.run_program,
        )
    except InterruptedBeforeStartError:
        failure = translate("", (), interrupted=True, log=log)
    except AlmaError as error:
        failure = Failure(kind="program", message=error.message, hint=error.hint, log=log)
    except IncompleteError as error:
        hint = (
            "Its events may be newer than the Python SDK, or were cut off: with "
            f"`pip install pulumi=={task.cli_version}` both are of one version."
        )
        failure = Failure(kind="unknown", message=str(error), hint=hint, log=log)
    return Report(
        failure=failure,
        changes=events.changes,
        resources=tuple(events.touched.values()),
        said={urn: readable(message) for urn, message in reversed(events.errors) if urn},
        lasting=events.lasting,
        nulls=tuple(end.nulls),
        warnings=tuple(map(redact, end.warnings)),
        spent=failure is not None,
        unsettled=(command.exit_code or 0) < 0,
        # What a program prints may be of locks as well.
        began=failure is None or failure.kind != "locked" or events.heard,
        drifted=tuple(events.looked.drifted) if events.looked else (),
        asked=tuple(events.looked.asked) if events.looked else (),
    )


def _run(task: Task, command: Command, events: Events, redact: Redactor, end: ProgramEnd) -> None:
    with _serving(task, command, redact, end) as address:
        workspace = Workspace(task, command, address)
        stack = Stack(workspace.qualified, workspace)
        if task.kind == "remove":
            workspace.remove_stack(workspace.qualified)
            return
        plain = task.kind == "destroy" and not task.run_program
        settings = "" if plain else str(workspace.write_config())
        if task.create:
            workspace.create_stack(workspace.qualified)
        if settings:
            for key, text in task.sealed.items():
                stack.set_config(key, ConfigValue(text, secret=True), path=key.endswith("]"))
        try:
            _operate(task, stack, settings, events)
        except RuntimeError:
            # `preview` wants a summary. Whether all was told is asked below, for each kind.
            if command.exit_code != 0:
                raise
    if not events.complete:
        # What was made to last, or in doubt, is known from nowhere else.
        raise IncompleteError("The Pulumi CLI ended well, but did not tell all that it did.")


def _operate(task: Task, stack: Stack, settings: str, events: Events) -> None:
    options: dict[str, Any] = {
        "config_file": settings,
        "on_event": events,
        # The log is for people, but the outputs may be large, and are the user's to show.
        "color": "never",
        "suppress_outputs": True,
        "suppress_progress": True,
    }
    if task.kind == "destroy":
        stack.destroy(run_program=task.run_program, **options)
    elif task.kind in ("preview", "foresee"):
        stack.preview(refresh=task.refresh, **options)
    elif task.kind == "look":
        stack.preview_refresh(target=list(task.targets), **options)
    elif task.kind == "drift":
        # By the state alone: a program that asks for that would have to be here, and be run.
        stack.preview_refresh(run_program=False, show_secrets=False, **options)
    else:
        # Of a restore, what can be put back is, whatever else fails.
        stack.up(continue_on_error=task.kind == "restore", refresh=task.refresh, **options)


@contextmanager
def _serving(task: Task, command: Command, redact: Redactor, end: ProgramEnd) -> Iterator[str]:
    """The address of the program's host; empty where the CLI runs the program, or none is run."""
    if task.replay is not None:
        with served(ReplayHost(task.replay), command.pid) as address:
            yield address
    elif task.program is not None:
        host = ProgramHost(load(task.program), task.injected, redact, end)
        with served(host, command.pid) as address:
            yield address
    else:
        yield ""
