"""Answering an approval, from wherever the journal can be reached. It drives nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Final

from alma.core import events as ev
from alma.core.approval import Approval, either
from alma.core.redaction import shortened
from alma.core.result import Result, make_result
from alma.core.run import RunStatus, SagaState
from alma.errors import DefinitionError, RefusedError
from alma.journal.reading import load_run
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import told
from alma.runner.recorder import Recorder
from alma.runner.redacting import redactor_of
from alma.runner.settings import Settings, actor
from alma.system.processes import user_name

NAME: Final = "ALMA_ACTOR"
"""Says under which name somebody approves, where several people are one user of the system."""


def name_here() -> str:
    """Under which name whoever runs this approves: a word, and no proof of who it is."""
    return os.environ.get(NAME, "").strip() or user_name()


def may_approve(approvers: tuple[str, ...], name: str = "") -> bool:
    """Whether that is one of them; of who is here, `user@host` counts as well."""
    if name:
        return name in approvers
    return name_here() in approvers or actor() in approvers


def answer(
    run: str,
    step: str,
    *,
    approved: bool,
    reason: str,
    digest: str = "",
    name: str = "",
    settings: Settings | None = None,
) -> Result:
    """Approve what a run waits for, or refuse it; journaled with name, reason and digest.

    `digest` is the beginning of the one that is meant: of another plan nothing is said then.
    `name` is who says it, where that is not whoever runs this. The
    run goes on, or is turned back, by whoever resumes it. Raises DefinitionError where nothing is
    asked, RefusedError for who was not asked, RunnerBusyError while somebody drives the run.
    """
    settings = settings or Settings()
    if not reason.strip():
        raise DefinitionError("A reason is needed: it is what the journal keeps of the decision.")
    with settings.open(write=True) as journal:
        run_id = journal.resolve(run)
        asked = _require_asked(load_run(journal, run_id), step, digest, name)
        target = journal.run(run_id).target
        with lease_of(journal, target, run_id) as lease:
            found = load_run(journal, run_id)
            asked = _require_asked(found, step, digest, name)
            with told(found, journal, settings) as reporter:
                recorder = Recorder(found, journal, lease, redactor_of(journal, found), reporter)
                recorder.record(
                    ev.ApprovalAnswered(
                        step=step,
                        digest=asked.asked.digest,
                        approved=approved,
                        name=name or name_here(),
                        actor=actor(),
                        reason=shortened(recorder.redact(reason.strip())),
                    )
                )
            return make_result(recorder.run, interrupted=True)


def _require_asked(run: RunStatus, step: str, digest: str, name: str) -> Approval:
    status = run.steps.get(step)
    if status is None or not status.definition.approvers:
        waits = ", ".join(one.name for one in run.waiting) or "none"
        raise DefinitionError(
            f'Run {run.run} has no approval "{step}".', hint=f"It waits for: {waits}."
        )
    asked = status.approval
    if status not in run.waiting or asked is None:
        raise DefinitionError(f'Run {run.run} does not wait for "{step}": {_why(run, asked)}.')
    if not may_approve(asked.asked.approvers, name):
        raise RefusedError(
            f'"{step}" of run {run.run} is for {either(asked.asked.approvers)} to approve, and '
            f"this is {name or name_here()}.",
            hint="" if name else f"Where several people are one user, {NAME} says who it is.",
        )
    if asked.is_late(datetime.now(UTC)):
        raise DefinitionError(
            f'"{step}" of run {run.run} was to be approved by {asked.until:%Y-%m-%d %H:%M:%S} UTC.',
            hint=f"`alma-pulumi resume {run.word}` turns the run back.",
        )
    if digest and not asked.asked.digest.startswith(digest):
        raise DefinitionError(
            f'"{step}" of run {run.run} is asked about the plan {asked.asked.digest[:12]}, not '
            f"about {digest}.",
            hint=f"`alma-pulumi status {run.word}` shows it.",
        )
    return asked


def _why(run: RunStatus, asked: Approval | None) -> str:
    if asked is not None and asked.answer is not None:
        said = "approved" if asked.answer.approved else "refused"
        return f"{asked.answer.name} has {said} it"
    if run.state is not SagaState.RUNNING:
        return f"it is {run.state.name}"
    return "it is turned back" if run.direction == "back" else "nobody was asked yet"
