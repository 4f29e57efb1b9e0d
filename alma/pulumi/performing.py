"""One task from its worker to its result: tried again where two started at once, and settled.

Imports no pulumi.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import structs
from msgspec.structs import replace

from alma.core.events import Process
from alma.core.operation import Operation
from alma.core.redaction import clean_failure
from alma.errors import AlmaError
from alma.pulumi.deployment import write_state
from alma.pulumi.engine import OperationResult, StackRef
from alma.pulumi.left_locks import Known, holder_of
from alma.pulumi.locks import Locks, told_locks
from alma.pulumi.meeting import TRIES, delay
from alma.pulumi.messages import Report, Task
from alma.pulumi.recovery import Reconciliation
from alma.pulumi.told import held_before, state_secrets
from alma.pulumi.workers import Workers
from alma.system.files import clean_logs
from alma.system.scratch import scratch

_UNTOLD: Final = ("locked", "passphrase", "backend")
"""Kinds of failure in which no provider has said anything."""
_TOGETHER: Final = 10.0
"""Seconds. A lock is written, then looked for again, so of two that start at once both may be
refused; a lock that is older than this is of somebody who is at work."""


async def perform(
    workers: Workers,
    task: Task,
    operation: Operation,
    locks: Locks | None,
    root: Path | None = None,
    known: Callable[[], Known] = Known,
) -> OperationResult:
    """Have a worker do it. `locks` are of the stack that it takes; None where it takes none.

    `root` is where its state is, if that is a directory; `known` is what the journal knows of who
    may have left a lock on the stack.
    """
    redact = operation.redact
    redact.learn(task.secrets)
    before = await held_before(task, root)
    seen: list[Process] = []

    def note(role: str, process: Process) -> None:
        seen.append(process)
        operation.on_process(role, process)

    noted = replace(operation, on_process=note)
    try:
        report = await workers.serve(task, noted)
        for tried in range(1, TRIES):
            if not _has_met(report) or not await _paused(tried, operation):
                break
            report = await workers.serve(task, noted)
        refused = locks if _is_refused(report) else None
        if refused is not None and not await holder_of(refused, known, operation.id):
            report = await workers.serve(task, noted)
        if report.unsettled:
            report = await _settled(task, report, seen, locks)
        if report.failure is not None and report.failure.kind not in _UNTOLD:
            redact.learn(await state_secrets(task, root, before))
    finally:
        clean_logs(Path(task.log_dir), redact)
    return OperationResult(
        failure=report.failure and clean_failure(report.failure, redact),
        changes=report.changes,
        resources=report.resources,
        said={urn: redact(message) for urn, message in report.said.items()},
        lasting=report.lasting,
        nulls=report.nulls,
        warnings=report.warnings,
        began=report.began,
        drifted=report.drifted,
        asked=report.asked,
    )


async def perform_over(
    workers: Workers,
    task: Task,
    document: Mapping[str, Any],
    ref: StackRef,
    operation: Operation,
) -> OperationResult:
    """Perform a look ahead over this state of the stack: a copy, on a throw-away backend."""
    with scratch("state") as place:
        write_state(place, ref, document)
        environment = {**task.environment, "PULUMI_BACKEND_URL": place.as_uri()}
        directory = str(place / "project")
        task = structs.replace(task, directory=directory, environment=environment, organization="")
        return await perform(workers, task, operation, None)


def _is_refused(report: Report) -> bool:
    """Whether it did nothing but to meet a lock."""
    return report.failure is not None and not report.began and report.failure.kind == "locked"


def _has_met(report: Report) -> bool:
    """Whether it did nothing but to meet another that had just begun as well, or just ended."""
    if report.failure is None or not _is_refused(report):
        return False
    now, locks = datetime.now(UTC), told_locks(report.failure.message)
    if not locks:
        return "NotFound" in report.failure.message  # one that went as it was looked at
    return all(abs((now - lock.at).total_seconds()) < _TOGETHER for lock in locks)


async def _paused(tried: int, operation: Operation) -> bool:
    """Wait for some moments, each time longer; False when the operation was interrupted."""
    with suppress(TimeoutError):
        await asyncio.wait_for(operation.interrupt.wait(), delay(tried))
    return not operation.interrupt.is_set()


async def _settled(task: Task, report: Report, seen: list[Process], locks: Locks | None) -> Report:
    """After a CLI was killed: its plugins come to rest and its lock goes, or nobody's does."""
    ref = StackRef(project=task.project, stack=task.stack, organization=task.organization)
    try:
        found = (await Reconciliation(ref, task.operation, tuple(seen), locks).run()).found
    except AlmaError as error:
        found = str(error)
    failure = report.failure
    if failure is not None:
        failure = replace(failure, hint=f"{failure.hint} Afterwards: {found}.".strip())
    return structs.replace(report, failure=failure)
