"""A notice as Slack shows it: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

from __future__ import annotations

import json
from typing import Final

from alma.runner.notices.payload import Notice

_LONGEST: Final = 2900
"""Characters of a section: Slack takes 3000."""
_SIGNS: Final = {
    "run.failed": ":x:",
    "run.compensated": ":leftwards_arrow_with_hook:",
    "run.compensating": ":leftwards_arrow_with_hook:",
    "run.completed": ":white_check_mark:",
    "run.waiting": ":raised_hand:",
    "run.interrupted": ":warning:",
}
_SHOWN: Final = 10
"""Leftovers that are named."""


def slack_body(notice: Notice) -> bytes:
    """The message as JSON: nothing in a run's words can mention anybody, or make a link."""
    data = notice.data
    sign = _SIGNS.get(notice.type, ":information_source:")
    lines = []
    if data.failure is not None:
        lines.append(f'step "{data.failure.step}": {data.failure.message}')
    lines += [
        f"• {left.step}: {left.urn or left.id or left.reason}" for left in data.leftovers[:_SHOWN]
    ]
    if len(data.leftovers) > _SHOWN:
        lines.append(f"• and {len(data.leftovers) - _SHOWN} more")
    blocks = [_section(f"{sign} {_escaped(data.sentence)}")]
    if lines:
        blocks.append(_section(_escaped("\n".join(lines))))
    blocks.append(
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": f"run `{_escaped(data.run)}`"}],
        }
    )
    message = {"text": _escaped(data.sentence)[:_LONGEST], "blocks": blocks}
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_LONGEST]}}


def _escaped(text: str) -> str:
    """As Slack asks for it: these three letters are its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
