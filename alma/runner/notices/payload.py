"""What is told: one JSON document for each notice, made of the run's events up to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins
from msgspec.json import schema_components

from alma.core import events as ev
from alma.core.notice import KINDS, sentence
from alma.core.result import make_result
from alma.core.run import RunStatus
from alma.core.state import fold
from alma.journal.rows import DeliveryRow

SCHEMA: Final = "urn:alma-pulumi:schema:notice:1"
"""The `$id` of the schema. Fields are added under it; what changes a meaning gets the next one."""


class NoticeFailure(Struct, frozen=True, kw_only=True):
    """Why a step failed: `kind` and the words, as in a report."""

    step: str
    kind: str
    message: str
    hint: str


class NoticeApproval(Struct, frozen=True, kw_only=True):
    """What a run waits for, or was told: `name` and `reason` are of the answer, or empty."""

    step: str
    digest: str
    approvers: tuple[str, ...]
    name: str
    reason: str


class NoticeData(Struct, frozen=True, kw_only=True):
    """The run at that moment. Secrets are masked, as everywhere in the journal."""

    run: str
    seq: int
    saga: str
    stack: str
    organization: str
    target: str
    kind: str
    state: str
    sentence: str
    """All of it for people, in a line."""
    reason: str
    failed_step: str
    failure: NoticeFailure | None
    approval: NoticeApproval | None
    leftovers: tuple[ev.Leftover, ...]
    created_at: datetime | None
    ended_at: datetime | None
    parent: ev.Parent | None
    """The run of which it is a part."""


class Notice(Struct, frozen=True, kw_only=True):
    """As Standard Webhooks has it: `type` is `run.` and the notice, `timestamp` the event's."""

    schema: Literal["urn:alma-pulumi:schema:notice:1"] = SCHEMA
    id: str
    """The same for each attempt at this delivery: also the header `webhook-id`."""
    type: str
    timestamp: datetime
    data: NoticeData


def notice_id(row: DeliveryRow) -> str:
    """By which whoever gets it twice knows it: of the event, the notifier and the notice."""
    text = json.dumps([row.run, row.seq, row.notifier, row.notice])
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def notice_for(row: DeliveryRow, events: Sequence[ev.Recorded]) -> Notice:
    """The notice of a delivery; `events` are the run's."""
    before = [entry for entry in events if entry.seq <= row.seq]
    run, last = fold(before), before[-1]
    return Notice(
        id=notice_id(row),
        type=f"run.{row.notice}",
        timestamp=last.at,
        data=NoticeData(
            run=run.run,
            seq=row.seq,
            saga=run.definition.saga,
            stack=run.definition.stack,
            organization=run.definition.organization,
            target=run.definition.target,
            kind=run.kind,
            state=run.state.name,
            sentence=sentence(run, row.notice, last.event),
            reason=run.reason,
            failed_step=run.failed_step,
            failure=_failure(run),
            approval=_approval(run, last.event),
            leftovers=run.leftovers,
            created_at=run.created_at,
            ended_at=run.ended_at,
            parent=run.parent,
        ),
    )


def body_of(notice: Notice) -> bytes:
    """The bytes that are sent and signed: ASCII, whatever a message holds."""
    return json.dumps(to_builtins(notice), separators=(",", ":")).encode("ascii")


def _failure(run: RunStatus) -> NoticeFailure | None:
    result = make_result(run, interrupted=not run.state.is_final)
    if result.error is None:
        return None
    error = result.error
    return NoticeFailure(
        step=result.failed_step, kind=error.kind, message=error.message, hint=error.hint
    )


def _approval(run: RunStatus, event: ev.Event) -> NoticeApproval | None:
    if not isinstance(event, ev.ApprovalAsked | ev.ApprovalAnswered):
        return None
    approval = run.steps[event.step].approval
    answer = event if isinstance(event, ev.ApprovalAnswered) else None
    return NoticeApproval(
        step=event.step,
        digest=event.digest,
        approvers=approval.asked.approvers if approval else (),
        name=answer.name if answer else "",
        reason=answer.reason if answer else "",
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a notice, made from its types."""
    (found,), components = schema_components([Notice], ref_template="#/$defs/{name}")
    components["Notice"]["properties"]["type"] = {"enum": [f"run.{name}" for name in KINDS]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "A notice of alma",
        **found,
        "$defs": components,
    }
