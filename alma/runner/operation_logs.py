"""What the operations of a run have said, as far as it is still there; never with a secret in it.

A log is cleaned when its operation ends. Until then, and after a crash, what programs print
stands in it as they print it: so what is known to be secret is taken out here as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from alma.core import events as ev
from alma.core.redaction import Redactor
from alma.errors import AuthenticationError, DefinitionError
from alma.journal import Journal
from alma.journal.known import given, known_outputs, secrets_of_earlier_runs
from alma.journal.reading import RunView, view_run
from alma.runner.logs import files_of, log_of, logs_of
from alma.system.environment import secrets_in_environment
from alma.system.tail import Tail

NO_LOG: Final = "no log is left of it"
ONLY_ENDS: Final = "the log is not here; its last lines, as the journal has them"
LOCKED: Final = "not shown: it may hold secrets, and without the journal's key nobody knows which"
_PAUSE: Final = 0.2


class LoggedOperation(Struct, kw_only=True):
    """One operation. `cleaned`: it has ended in order, and then its log was cleaned."""

    step: str
    id: str
    kind: str
    attempt: int
    at: datetime
    directory: Path
    over: bool = False
    cleaned: bool = False
    processes: list[ev.Process] = field(default_factory=list)
    tails: dict[str, Tail] = field(default_factory=dict)
    told: bool = False
    """Something of its log was given, or why there is none."""
    ends: tuple[ev.LogEnd, ...] = ()
    """Of one that failed."""


class LogLine(Struct, frozen=True, kw_only=True):
    """A line of a log without its end. No `file`: why there is none, or no more, in words."""

    operation: LoggedOperation
    file: str
    text: str


def operation_logs(
    journal: Journal, run_id: str, step: str = "", *, follow: bool = False
) -> Iterator[LogLine]:
    """Every line, operation by operation; then, with `follow`, what comes until the run ends.

    Raises DefinitionError for a step that the run does not have.
    """
    view = view_run(journal, run_id)
    if step and step not in view.run.steps:
        raise DefinitionError(
            f'Run {run_id} has no step "{step}".', hint=f"It has: {', '.join(view.run.steps)}."
        )
    secrets = _Secrets(journal, view)
    operations: dict[str, LoggedOperation] = {}
    seen = 0
    while True:
        live = view.driven
        entries = journal.events(run_id, after=seen)
        for entry in entries:
            seen = entry.seq
            _take(operations, entry, logs_of(journal.path, run_id))
        secrets.learn(view, operations)
        for operation in operations.values():
            if not step or operation.step == step:
                last = operation.over or not (live and follow)
                yield from _told(operation, secrets, last=last)
        if not follow or not (live or entries):
            return
        if live:
            time.sleep(_PAUSE)
        view = view_run(journal, run_id)


def _take(operations: dict[str, LoggedOperation], entry: ev.Recorded, logs: Path) -> None:
    event = entry.event
    if isinstance(event, ev.OperationIntended):
        operations[event.operation] = LoggedOperation(
            step=event.step,
            id=event.operation,
            kind=event.kind,
            attempt=event.attempt,
            at=entry.at,
            directory=log_of(logs, event.operation),
        )
        return
    operation = operations.get(getattr(event, "operation", ""))
    if operation is None:
        return
    if isinstance(event, ev.ProcessSpawned):
        operation.processes.append(event.process)
    elif isinstance(event, ev.OperationLeftInDoubt):
        operation.over = True
    elif isinstance(event, ev.OperationSucceeded | ev.OperationFailed | ev.OperationReconciled):
        operation.over = operation.cleaned = True
        if isinstance(event, ev.OperationFailed):
            operation.ends = event.failure.log_ends or ()


def _told(operation: LoggedOperation, secrets: _Secrets, *, last: bool) -> Iterator[LogLine]:
    """What is new of its log; the `last` time also that there was none."""
    if operation.told and last and not operation.tails:
        return
    if secrets.locked and not operation.cleaned:
        if not operation.told:
            operation.told = True
            yield LogLine(operation=operation, file="", text=LOCKED)
        return
    for path in files_of(operation.directory):
        operation.tails.setdefault(path.name, Tail(path))
    for name, tail in operation.tails.items():
        for line in tail.read(last=last):
            operation.told = True
            yield LogLine(operation=operation, file=name, text=secrets.redact(line))
    if last:
        if not operation.told:
            yield from _gone(operation, secrets)
        operation.told = True
        operation.tails.clear()


def _gone(operation: LoggedOperation, secrets: _Secrets) -> Iterator[LogLine]:
    yield LogLine(operation=operation, file="", text=ONLY_ENDS if operation.ends else NO_LOG)
    for end in operation.ends:
        for line in end.text.splitlines():
            yield LogLine(operation=operation, file=end.name, text=secrets.redact(line))


def redactor(journal: Journal, view: RunView) -> Redactor | None:
    """Takes out of a text what is known to be secret of a run; None without the key to know it."""
    secrets = _Secrets(journal, view)
    secrets.learn(view, {})
    return None if secrets.locked else secrets.redact


class _Secrets:
    """What of a run is known to be secret. `locked`: it is not, as its key is not here."""

    def __init__(self, journal: Journal, view: RunView) -> None:
        self._journal = journal
        self.redact = Redactor()
        self.locked = False
        self._seq = -1
        self._asked: set[ev.Process] = set()
        self.redact.learn(secrets_of_earlier_runs(journal, view.run.definition.target))
        self.redact.learn(secrets_in_environment(os.environ))

    def learn(self, view: RunView, operations: dict[str, LoggedOperation]) -> None:
        """Take in what the run has learnt since, and what its processes were given."""
        if view.run.seq != self._seq:
            self._seq = view.run.seq
            known = known_outputs(self._journal, view.run)
            self.redact.learn(known.outputs)
            self.locked = bool(known.locked)
            try:
                self.redact.learn(given(self._journal, view.run).secrets)
            except AuthenticationError:
                self.locked = True
        processes = [process for each in operations.values() for process in each.processes]
        runner = view.runner.process if view.runner is not None else view.run.runner
        if view.driven and runner is not None:
            self._ask([*processes, runner])

    def _ask(self, processes: list[ev.Process]) -> None:
        """Credentials in the environment of who is at work: this terminal may have others."""
        from alma.system.processes import GONE, find  # psutil: only where somebody is at work

        for process in processes:
            if process not in self._asked:
                self._asked.add(process)
                with suppress(*GONE):
                    if (found := find(process)) is not None:
                        self.redact.learn(secrets_in_environment(found.environ()))
