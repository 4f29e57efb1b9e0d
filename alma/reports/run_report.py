"""A run as one document of types: what every written report, and its JSON Schema, is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import Struct, field, to_builtins

from alma.__about__ import __version__
from alma.core import events as ev
from alma.core.definition import target_of
from alma.core.result import make_result
from alma.core.run import RunStatus, StepStatus
from alma.journal.reading import RunView
from alma.reports import report, text
from alma.reports.expiry import expires_at

SCHEMA: Final = "urn:alma-pulumi:schema:report:1"
"""The `$id` of the schema. Fields are added under it; what changes a meaning gets the next one."""

Outcome = Literal["succeeded", "failed", "in doubt", "under way"]


class ReportStep(Struct, frozen=True, kw_only=True):
    """One step. `remark` is what became of it, in words; `seconds` adds up its operations."""

    name: str
    kind: str
    state: str
    project: str
    depends_on: tuple[str, ...]
    attempts: int
    seconds: float
    changes: Mapping[str, int]
    undone: str
    unchanged_since: str
    why: str
    remark: str
    warnings: tuple[str, ...]


class ReportOperation(Struct, frozen=True, kw_only=True):
    """One operation of a step, in the order in which they began; `ended_at` may be unknown."""

    step: str
    operation: str
    kind: str
    attempt: int
    began_at: datetime
    ended_at: datetime | None
    outcome: Outcome
    message: str


class ReportFailure(Struct, frozen=True, kw_only=True):
    """Why a step failed, or could not be undone: `what` says which, `log_ends` are last lines."""

    step: str
    what: str
    kind: str
    message: str
    urn: str
    hint: str
    log: str
    log_ends: tuple[ev.LogEnd, ...]
    undo: bool


class ReportLeftover(Struct, frozen=True, kw_only=True):
    """What may still exist; `gone_by` is a later run that has verified that it does not."""

    step: str
    stack: str
    urn: str
    id: str
    reason: str
    gone_by: str


class Report(Struct, frozen=True, kw_only=True):
    """One run. Times are ISO 8601 in UTC; secrets are masked, as everywhere in the journal."""

    schema: Literal["urn:alma-pulumi:schema:report:1"] = SCHEMA
    alma: str
    run: str
    saga: str
    stack: str
    organization: str
    kind: str
    state: str
    interrupted: bool
    exit_code: int
    sentence: str
    created_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None = None
    seconds: float | None
    parameters: Mapping[str, Any]
    not_selected: tuple[str, ...]
    notes: tuple[str, ...]
    steps: tuple[ReportStep, ...]
    operations: tuple[ReportOperation, ...]
    outputs: Mapping[str, Mapping[str, Any]]
    failures: tuple[ReportFailure, ...]
    leftovers: tuple[ReportLeftover, ...]
    next: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """`shop/dev`, the saga and its stack."""
        return target_of(self.saga, self.organization, self.stack)


def make_report(
    view: RunView,
    events: Sequence[ev.Recorded],
    gone: Mapping[ev.Leftover, str],
    following: Iterable[str],
) -> Report:
    """The report of a run as it stands; `gone` leftovers by which run, `following` commands."""
    run = view.run
    result = make_result(run, interrupted=view.interrupted)
    return Report(
        alma=__version__,
        run=run.run,
        saga=run.definition.saga,
        stack=run.definition.stack,
        organization=run.definition.organization,
        kind=run.kind,
        state=run.state.name,
        interrupted=view.interrupted,
        exit_code=result.exit_code,
        sentence=sentence(view),
        created_at=run.created_at,
        ended_at=run.ended_at,
        expires_at=expires_at(run),
        seconds=report.seconds(run),
        parameters=dict(run.parameters),
        not_selected=run.left_out,
        notes=run.notes,
        steps=tuple(_step(step, run) for step in run.steps.values()),
        operations=tuple(operations(events, live=view.driven)),
        outputs={name: dict(outputs) for name, outputs in result.outputs.items()},
        failures=tuple(_failures(run)),
        leftovers=tuple(
            ReportLeftover(**to_builtins(left), gone_by=gone.get(left, ""))
            for left in run.leftovers
        ),
        next=tuple(following),
    )


def sentence(view: RunView) -> str:
    """How the run stands, in one sentence."""
    run = view.run
    if view.driven:
        return "It is running."
    if view.interrupted and run.waiting:
        return "It waits for approval."
    if view.interrupted:
        return "It was interrupted, and can go on."
    where = f' at step "{run.failed_step}"' if run.failed_step else ""
    match run.state.name:
        case "COMPLETED":
            done = {"destroy": "destroyed", "restore": "restored"}.get(run.kind, "up")
            return f"{text.count(len(run.steps), 'step')} {done}."
        case "COMPENSATED":
            return f"It failed{where}; everything it did is verified undone."
        case _:
            return f"It failed{where}, with {text.count(len(run.leftovers), 'leftover')}."


def _step(step: StepStatus, run: RunStatus) -> ReportStep:
    return ReportStep(
        name=step.name,
        kind=step.definition.kind,
        state=step.state.name,
        project=step.definition.project,
        depends_on=tuple(step.definition.dependencies),
        attempts=step.operations,
        seconds=round(step.seconds, 3),
        changes=dict(step.changes),
        undone=step.how,
        unchanged_since=step.unchanged_since,
        why=(step.started.why or "") if step.started else "",
        remark=report.remark(step, run),
        warnings=step.warnings,
    )


def _failures(run: RunStatus) -> Iterable[ReportFailure]:
    for step, failure, what in report.failed_steps(run):
        yield ReportFailure(
            step=step.name,
            what=what,
            kind=failure.kind,
            message=failure.message,
            urn=failure.urn,
            hint=failure.hint,
            log=failure.log,
            log_ends=failure.log_ends or (),
            undo=failure is step.undo_failure,
        )


def operations(events: Iterable[ev.Recorded], *, live: bool) -> list[ReportOperation]:
    """The operations of a run by its events; one without an outcome is under way, or in doubt."""
    begun: dict[str, tuple[ev.Recorded, ev.OperationIntended]] = {}
    ended: dict[str, tuple[ev.Recorded, Outcome, str]] = {}
    for entry in events:
        match entry.event:
            case ev.OperationIntended() as event:
                begun[event.operation] = entry, event
            case ev.OperationSucceeded() as event:
                ended[event.operation] = entry, "succeeded", ""
            case ev.OperationFailed() as event:
                ended[event.operation] = entry, "failed", event.failure.message
            case ev.OperationLeftInDoubt() as event:
                ended[event.operation] = entry, "in doubt", event.reason
            case ev.OperationReconciled() as event:
                ended[event.operation] = entry, "in doubt", event.found
            case _:
                pass
    found = []
    for id_, (entry, event) in begun.items():
        open_: Outcome = "under way" if live else "in doubt"
        end, outcome, message = ended.get(id_, (None, open_, ""))
        found.append(
            ReportOperation(
                step=event.step,
                operation=id_,
                kind=event.kind,
                attempt=event.attempt,
                began_at=entry.at,
                ended_at=end.at if end else None,
                outcome=outcome,
                message=text.one_line(message),
            )
        )
    return found
