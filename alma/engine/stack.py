"""The Automation API's stack without its extra processes, and what it tells while it works.

Imports pulumi. The stock `up` runs `stack output` twice and `stack history` after the CLI, with
secrets in plaintext, and raises when one of them fails although the update succeeded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pulumi.automation import EngineEvent, OutputMap, Stack, UpdateSummary
from pulumi.automation._stack import StackInitMode

from alma.engine.failures import lost_answer, lost_provider, readable
from alma.engine.workspace import LeanWorkspace
from alma.events import IN_DOUBT, UNANSWERED, ResourceChange

_UNTOUCHED = frozenset({"same", "read", "refresh"})
"""Operations that change nothing outside."""


class Observer:
    """Collects an operation's events: changes, touched resources, errors with their URN.

    Called on a thread of the event server; the CLI's exit waits for it, so it only notes.
    `tell(urn, op, done)` must not block.
    """

    def __init__(self, tell: Callable[[str, str, bool], None]) -> None:
        self.changes: dict[str, int] = {}
        self.errors: list[tuple[str, str]] = []
        self.lasting: dict[str, str] = {}
        self.touched: dict[tuple[str, str], ResourceChange] = {}
        self._tell = tell

    def __call__(self, event: EngineEvent) -> None:
        """Note one event. Debug diagnostics hold secrets in plaintext: only errors are kept."""
        if event.summary_event:
            changes = event.summary_event.resource_changes or {}
            self.changes = {str(_word(op)): int(count) for op, count in changes.items()}
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            diagnostic = event.diagnostic_event
            self.errors.append((diagnostic.urn or "", diagnostic.message))
        elif event.resource_pre_event:
            self._note(event.resource_pre_event.metadata, done=False)
        elif event.res_outputs_event:
            self._note(event.res_outputs_event.metadata, done=True)
        elif event.res_op_failed_event:
            metadata = event.res_op_failed_event.metadata
            self._tell(metadata.urn, _word(metadata.op), True)  # noqa: FBT003
            self._doubt(metadata)

    def _doubt(self, metadata: Any) -> None:
        """A create may have happened that the state does not tell of: its end was not seen."""
        if not _word(metadata.op).startswith("create"):
            return
        said = [readable(message) for urn, message in self.errors if urn == metadata.urn]
        for doubt, seen in ((IN_DOUBT, lost_provider), (UNANSWERED, lost_answer)):
            if any(map(seen, said)):
                self.touched[metadata.urn, doubt] = ResourceChange(urn=metadata.urn, op=doubt)
                return

    def _note(self, metadata: Any, *, done: bool) -> None:
        operation = _word(metadata.op)
        self._tell(metadata.urn, operation, done)
        if not done or operation in _UNTOUCHED or metadata.type == "pulumi:pulumi:Stack":
            return
        if operation.startswith("create") and metadata.new:
            option = "retainOnDelete" if metadata.new.retain_on_delete else ""
            option = "protect" if metadata.new.protect else option
            if option:
                self.lasting[metadata.urn] = option
        identity = next((side.id for side in (metadata.new, metadata.old) if side and side.id), "")
        change = ResourceChange(urn=metadata.urn, op=operation, id=identity)
        self.touched[metadata.urn, operation] = change


class LeanStack(Stack):
    """A stack that is neither selected nor asked anything: one operation is one process."""

    workspace: LeanWorkspace

    def __init__(self, name: str, workspace: LeanWorkspace) -> None:
        super().__init__(name, workspace, StackInitMode.SELECT)

    def outputs(self) -> OutputMap:
        """Nothing: the runner reads them from the state, where secrets are still encrypted."""
        return {}

    def info(self, show_secrets: bool = False) -> UpdateSummary:  # noqa: ARG002, FBT001, FBT002
        """A summary without content: the events say what changed."""
        return UpdateSummary(
            kind="", start_time=datetime.now(UTC), message="", environment={}, config={}, result=""
        )

    def perform(
        self,
        kind: str,
        program: Any,
        settings: str | None,
        observer: Observer,
        targets: tuple[str, ...] = (),
    ) -> None:
        """Run a task of this kind; raises what the Automation API raises."""
        # The log is for people, but the outputs may be large, and are the user's to show.
        shared: dict[str, Any] = {
            "color": "never",
            "on_event": observer,
            "suppress_outputs": True,
            "suppress_progress": True,
            "config_file": settings,
        }
        if kind == "up":
            self.up(program=program, show_secrets=False, **shared)
        elif kind == "restore":
            # What can be put back is, whatever else fails; the server is not this program's.
            self.up(program=_unused, show_secrets=False, continue_on_error=True, **shared)
        elif kind == "look":
            self.refresh(preview_only=True, target=list(targets), show_secrets=False, **shared)
        elif kind == "foresee":
            self.preview(program=_unused, **shared)
        elif kind == "preview":
            self.preview(program=program, **shared)
        else:
            self.destroy(show_secrets=False, **shared)


def _unused() -> None:
    """The program of a restore: never run, `alma.engine.playing` answers in its place."""


def _word(operation: Any) -> str:
    """Pulumi's word for an operation: the enum's value, or the word itself."""
    return str(getattr(operation, "value", operation))
