"""What a run waits for: who may approve it, since when, and what they approve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alma.core.approval import Approval, Planned, either
from alma.core.run import RunStatus
from alma.reports import text

if TYPE_CHECKING:
    from alma.journal.address import Address


def remark(approval: Approval) -> str:
    """In a line of a table."""
    if (answer := approval.answer) is not None:
        said = "approved" if answer.approved else "refused"
        return f"{said} by {text.name(answer.name)}: {text.one_line(answer.reason, 80)}"
    until = f" until {text.moment(approval.until)}" if approval.until else ""
    return f"waits for {_approvers(approval)}{until}"


def commands(run: RunStatus, journal: Address | None) -> list[str]:
    """What whoever may approve has to type, for each approval that the run waits for."""
    return [
        text.command_line(f"{word} {run.word} {text.quoted(step.name)} --reason ...", journal)
        for step in run.waiting
        for word in ("approve", "refuse")
    ]


def waiting(run: RunStatus) -> list[str]:
    """For each approval: who is asked, since when, and what would be done."""
    lines = []
    for step in run.waiting:
        approval = step.approval
        if approval is None:
            continue
        lines.append(
            f'"{text.name(step.name)}" waits for {_approvers(approval)}, asked '
            f"{text.moment(approval.since)}, plan {approval.asked.digest[:12]}:"
        )
        lines += [f"  {line}" for one in approval.asked.plan for line in _planned(one)]
        if not approval.asked.plan:
            lines.append("  nothing comes after it")
        if approval.until:
            lines.append(f"  Without an answer by {text.moment(approval.until)} it is turned back.")
    return lines


def _approvers(approval: Approval) -> str:
    return either([text.name(one) for one in approval.asked.approvers])


def _planned(one: Planned) -> list[str]:
    if one.error:
        return [f"{text.name(one.step)}: it cannot be foreseen: {text.one_line(one.error)}"]
    said = text.one_line(one.what)
    if one.unknown:
        names = ", ".join(map(text.name, one.unknown))
        said = f"{said}; its changes are known only during up: it consumes {names}"
    elif counts := text.changes(one.changes or {}, planned=True):
        said = f"{said}: {counts}"
    return [f"{text.name(one.step)}: {said}"]
