"""What an operation's events say: changes, touched resources, errors. Imports no pulumi.

The events are those of `sdk/go/common/apitype/events.go` in pulumi/pulumi, as parsed JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alma.core.events import IN_DOUBT, UNANSWERED, ResourceChange
from alma.pulumi.failures import lost_answer, lost_provider, readable

_UNTOUCHED = frozenset({"same", "read", "refresh"})
"""Operations that change nothing outside."""


class Observer:
    """Collects an operation's events: changes, touched resources, errors with their URN.

    Called on the thread that follows the event log. `tell(urn, op, done)` must not block.
    `summarized` says whether the engine has come to its summary.
    """

    def __init__(self, tell: Callable[[str, str, bool], None]) -> None:
        self.changes: dict[str, int] = {}
        self.errors: list[tuple[str, str]] = []
        self.lasting: dict[str, str] = {}
        self.touched: dict[tuple[str, str], ResourceChange] = {}
        self.summarized = False
        self._tell = tell

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Note one event. Debug diagnostics hold secrets in plaintext: only errors are kept."""
        if summary := event.get("summaryEvent"):
            self.summarized = True
            changes = summary.get("resourceChanges") or {}
            self.changes = {str(op): int(count) for op, count in changes.items()}
        elif diagnostic := event.get("diagnosticEvent"):
            if diagnostic.get("severity") == "error":
                self.errors.append((diagnostic.get("urn") or "", diagnostic.get("message", "")))
        elif started := event.get("resourcePreEvent"):
            self._note(started["metadata"], done=False)
        elif ended := event.get("resOutputsEvent"):
            self._note(ended["metadata"], done=True)
        elif failed := event.get("resOpFailedEvent"):
            metadata = failed["metadata"]
            self._tell(metadata["urn"], metadata["op"], True)  # noqa: FBT003
            self._doubt(metadata)

    def _doubt(self, metadata: Mapping[str, Any]) -> None:
        """A create may have happened that the state does not tell of: its end was not seen."""
        urn = metadata["urn"]
        if not metadata["op"].startswith("create"):
            return
        said = [readable(message) for other, message in self.errors if other == urn]
        for doubt, seen in ((IN_DOUBT, lost_provider), (UNANSWERED, lost_answer)):
            if any(map(seen, said)):
                self.touched[urn, doubt] = ResourceChange(urn=urn, op=doubt)
                return

    def _note(self, metadata: Mapping[str, Any], *, done: bool) -> None:
        urn, operation = metadata["urn"], metadata["op"]
        self._tell(urn, operation, done)
        if not done or operation in _UNTOUCHED or metadata["type"] == "pulumi:pulumi:Stack":
            return
        old, new = metadata.get("old") or {}, metadata.get("new") or {}
        if operation.startswith("create"):
            option = "retainOnDelete" if new.get("retainOnDelete") else ""
            option = "protect" if new.get("protect") else option
            if option:
                self.lasting[urn] = option
        identity = new.get("id") or old.get("id") or ""
        self.touched[urn, operation] = ResourceChange(urn=urn, op=operation, id=identity)
