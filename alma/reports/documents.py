"""Every document of `--json`. Field names are never renamed; docs/cli.md describes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from alma.core.result import Result, make_result
from alma.core.run import RunStatus, StepStatus
from alma.errors import JournalError
from alma.reports.expiry import expires_at

if TYPE_CHECKING:
    from alma.core.approval import Approval
    from alma.core.definition import Definition
    from alma.core.events import Leftover, Recorded
    from alma.journal.chain import Verdict
    from alma.journal.reading import RunView
    from alma.runner.copying import Copied
    from alma.runner.doctor import Check
    from alma.runner.operation_logs import LogLine
    from alma.runner.preview import PreviewedStep, SagaPreview
    from alma.runner.rekey import Rekeyed
    from alma.runner.restore import Plan
    from alma.runner.restore_points import RestorePoint

Document = dict[str, Any]


def error(message: str, hint: str, exit_code: int) -> Document:
    """Of any command that was refused."""
    return {"error": message, "hint": hint or None, "exit_code": exit_code}


# -- runs --------------------------------------------------------------------------------------


def run(status: RunStatus, *, interrupted: bool) -> Document:
    """Of each command that acts on a run."""
    result = make_result(status, interrupted=interrupted)
    return {
        "run": status.run,
        "saga": status.definition.saga,
        "stack": status.definition.stack,
        "organization": status.definition.organization,
        "kind": status.kind,
        "state": status.state.name,
        "interrupted": interrupted,
        "exit_code": result.exit_code,
        "created_at": status.created_at.isoformat() if status.created_at else None,
        "ended_at": status.ended_at.isoformat() if status.ended_at else None,
        "expires_at": at.isoformat() if (at := expires_at(status)) else None,
        "parent": to_builtins(status.parent) if status.parent else None,
        "waiting": [step.name for step in status.waiting],
        "steps": [_step(step) for step in status.steps.values()],
        "parameters": dict(status.parameters),
        "not_selected": list(status.left_out),
        "notes": list(status.notes),
        "outputs": {name: dict(outputs) for name, outputs in result.outputs.items()},
        "leftovers": [to_builtins(left) for left in status.leftovers],
        "error": _sentence(result),
        "failure": {"step": result.failed_step, "log_ends": [], **to_builtins(result.error)}
        if result.error
        else None,
    }


def _step(step: StepStatus) -> Document:
    failure = step.undo_failure or step.failure
    return {
        "name": step.name,
        "state": step.state.name,
        "attempts": step.operations,
        "seconds": round(step.seconds, 3),
        "changes": dict(step.changes),
        "error": failure.message if failure else None,
        "kind": step.definition.kind,
        "project": step.definition.project,
        "undone": step.how,
        "unchanged_since": step.unchanged_since or None,
        "why": (step.started.why or None) if step.started else None,
        "log": failure.log if failure else "",
        "warnings": list(step.warnings),
        "approval": _approval(step.approval) if step.approval else None,
        "parts": [
            {"item": item, "run": child.run, "target": child.target}
            for item, child in step.children.items()
        ],
    }


def _approval(approval: Approval) -> Document:
    asked, answer = approval.asked, approval.answer
    return {
        "approvers": list(asked.approvers),
        "digest": asked.digest,
        "since": approval.since.isoformat(),
        "until": approval.until.isoformat() if approval.until else None,
        "plan": [to_builtins(one) for one in asked.plan],
        "answer": answer
        and {
            "approved": answer.approved,
            "name": answer.name,
            "actor": answer.actor,
            "reason": answer.reason,
            "digest": answer.digest,
        },
    }


def _sentence(result: Result) -> str | None:
    if result.error is None:
        return result.status.reason or None
    return f'step "{result.failed_step}": {result.error.message}'


def status(view: RunView, following: list[str], gone: Mapping[Leftover, str]) -> Document:
    """Of `status`: `following` are the commands that go on, `gone` leftovers and by which run."""
    runner = view.runner
    described = run(view.run, interrupted=view.interrupted)
    for left, entry in zip(view.run.leftovers, described["leftovers"], strict=True):
        entry["gone_by"] = gone.get(left)
    return {
        **described,
        "runner": runner
        and {
            "pid": runner.process.pid,
            "host": runner.process.machine,
            "actor": runner.actor,
            "since": runner.acquired_at.isoformat(),
        },
        "ran_on": _ran_on(view.run),
        "last_heard_at": view.run.heard_at.isoformat() if view.run.heard_at else None,
        "next": following,
    }


def part(view: RunView, name: str) -> Document:
    """Of `status --unfold`: a run that is a part of it; `name` is the step, with its item."""
    return {"name": name, **run(view.run, interrupted=view.interrupted)}


def _ran_on(status: RunStatus) -> Document | None:
    process = status.runner
    if process is None:
        return None
    return {
        "pid": process.pid,
        "host": process.machine,
        "ephemeral": process.ephemeral is True,
        "gone": process.host in status.gone,
    }


def runs(views: Sequence[RunView]) -> list[Document]:
    """Of `runs`."""
    return [_run(view) for view in views]


def _run(view: RunView) -> Document:
    status = view.run
    return {
        "run": status.run,
        "saga": status.definition.saga,
        "stack": status.definition.stack,
        "organization": status.definition.organization,
        "kind": status.kind,
        "state": status.state.name,
        "interrupted": view.interrupted,
        "created_at": status.created_at.isoformat() if status.created_at else None,
        "ended_at": status.ended_at.isoformat() if status.ended_at else None,
        "expires_at": at.isoformat() if (at := expires_at(status)) else None,
        "steps": len(status.steps),
        "leftovers": len(status.leftovers),
    }


def history(entries: Sequence[Recorded]) -> list[Document]:
    """Of `history`: an event each, its own fields first."""
    from alma.core.codec import own_fields

    return [
        {
            **to_builtins(own_fields(entry.event)),
            "seq": entry.seq,
            "at": entry.at.isoformat(),
            "type": entry.event.type,
            "step": entry.event.step,
            "epoch": entry.epoch,
            "hash": entry.hash,
        }
        for entry in entries
    ]


def logs(lines: Iterable[LogLine]) -> list[Document]:
    """Of `logs`: an operation each, its files in the order in which they were read."""
    found: dict[str, Document] = {}
    for line in lines:
        operation = line.operation
        entry = found.setdefault(
            operation.id,
            {
                "step": operation.step,
                "operation": operation.id,
                "kind": operation.kind,
                "attempt": operation.attempt,
                "at": operation.at.isoformat(),
                "log": str(operation.directory),
                "files": {},
                "reason": None,
            },
        )
        if line.file:
            entry["files"].setdefault(line.file, []).append(line.text)
        else:
            entry["reason"] = line.text
    for entry in found.values():
        entry["files"] = [
            {"name": name, "text": "\n".join(texts)} for name, texts in entry["files"].items()
        ]
    return list(found.values())


# -- what would be done ------------------------------------------------------------------------


def preview(found: SagaPreview) -> Document:
    """Of `preview`."""
    return {
        "saga": found.saga,
        "stack": found.stack,
        "organization": found.organization,
        "steps": [_previewed(step) for step in found.steps],
        "not_selected": list(found.left_out),
        "undo_order": list(found.undo),
        "not_undoable": list(found.not_undoable),
        "pivots": list(found.pivots),
        "on_failure": found.policy,
        "exit_code": 0 if found.ok else 1,
    }


def _previewed(step: PreviewedStep) -> Document:
    foreseen = step.foreseen
    changes = foreseen.changes
    return {
        "name": step.name,
        "kind": step.kind,
        "stack": step.stack,
        "what": foreseen.what,
        "changes": None if changes is None else dict(changes),
        "resources": [to_builtins(change) for change in foreseen.resources],
        "unknown": list(step.unknown),
        "why": step.why or None,
        "unchanged_since": step.since or None,
        "undo": step.undo,
        "undo_kind": step.way,
        "at_risk": [to_builtins(one) for one in foreseen.at_risk],
        "undoable": foreseen.undoable or step.changes_nothing,
        "warnings": list(foreseen.warnings),
        "within": list(foreseen.within),
        "error": foreseen.failure.message if foreseen.failure else None,
    }


def restore_points(found: Iterable[RestorePoint]) -> list[Document]:
    """Of `restore` without `--to`."""
    return [
        {**to_builtins(one), "state": one.state.name, "at": one.at.isoformat()} for one in found
    ]


def restore_preview(plan: Plan) -> Document:
    """Of `restore --preview-only`."""
    return {
        "step": plan.step,
        "stack": plan.label,
        "to": plan.point.run,
        "moment": plan.point.moment,
        "snapshot": plan.point.snapshot,
        **to_builtins(plan.foreseen),
        "exit_code": 0,
    }


def graph(definition: Definition, selected: Collection[str]) -> Document:
    """Of `graph`."""
    from alma.reports.graph import arrows

    return {
        "saga": definition.saga,
        "nodes": [
            {
                "name": step.name,
                "kind": step.kind,
                "project": step.project,
                "pivot": step.pivot,
                "approvers": list(step.approvers or ()),
                "selected": step.name in selected,
            }
            for step in definition.steps
        ],
        "edges": [
            {"from": arrow.before, "to": arrow.after, "outputs": arrow.outputs}
            for arrow in arrows(definition)
        ],
    }


# -- the machine and the journal ---------------------------------------------------------------


def doctor(checks: Iterable[Check], exit_code: int) -> Document:
    """Of `doctor`."""
    return {"checks": [to_builtins(check) for check in checks], "exit_code": exit_code}


def verify(verdict: Verdict, others: list[str]) -> Document:
    """Of `verify`; `others` are the runs that were not written with a key of this user's."""
    broken = verdict.first_break
    return {
        "ok": verdict.ok,
        "events": verdict.events,
        "runs": verdict.runs,
        "head": f"{verdict.head.position}:{verdict.head.hash}",
        "error": str(broken) if broken else None,
        "own": not broken and not others,
        "exit_code": 0 if verdict.ok else JournalError.exit_code,
    }


def rekey(done: Rekeyed) -> Document:
    """Of `rekey`."""
    return {"runs": done.runs, "values": done.values, "key": done.key}


def copied(done: Copied) -> Document:
    """Of `journal copy`."""
    return {"runs": done.runs, "events": done.events, "snapshots": done.snapshots}


def prune(removed: Iterable[str]) -> Document:
    """Of `prune`."""
    return {"removed": list(removed)}
