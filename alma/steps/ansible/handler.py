"""A step that is an Ansible playbook, undone by another one that must reach and mend every host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alma.core.events import Failure, Leftover
from alma.core.operation import Operation, Reconciled
from alma.core.redaction import mark_secrets
from alma.core.run import OpenOperation, StepStatus
from alma.core.secret import Secret, secrets_in
from alma.core.validation import NotJsonError, check_json
from alma.steps.ansible.playbook import PROGRAMS, clean, play, require_start
from alma.steps.ansible.recap import PlaybookResult
from alma.steps.base import (
    Compensated,
    Outcome,
    Retained,
    StepContext,
    StepHandler,
    StepPreview,
)
from alma.system.programs import ProgramRunner, wait_for


@dataclass(kw_only=True)
class AnsibleHandler(StepHandler):
    """`playbook` is None when only the undo can be needed. `inputs` are all extra variables."""

    name: str
    playbook: Path | None = None
    undo_playbook: Path | None = None
    inventory: str = ""
    secret_outputs: tuple[str, ...] = ()
    optional_hosts: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    lacks: str = ""

    async def require(self) -> None:
        """Ansible is here, and starts in the directories of its playbooks."""
        played = [path.parent for path in (self.playbook, self.undo_playbook) if path is not None]
        for directory in dict.fromkeys(played):
            await require_start(directory, os.environ)

    async def execute(self, call: StepContext) -> None:
        """Play it; what it says by `set_stats` are the outputs."""
        await call.perform("action", self._acting(call))

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Play the undo; its evidence is that each host it names was reached, and none failed."""
        undo = self.undo_playbook
        if undo is None:
            if call.kind == "destroy":
                return Compensated(how="nothing", evidence={"compensation": "none"})
            reason = "the step has no undo_playbook"
            return Retained(reason=reason, leftovers=self._leftover(reason))

        async def work(operation: Operation) -> Outcome:
            programs = ProgramRunner(operation)
            played = await self._play(undo, call, operation, programs)
            failure = played.failure(self.optional_hosts, undo=True)
            failure = failure and (programs.failure() or failure)
            left = self._leftover(f"{undo.name} failed: {failure.message}") if failure else ()
            return Outcome(
                failure=failure,
                changes=played.counts,
                evidence={"recap": dict(played.counts)},
                leftovers=left,
            )

        outcome = await call.perform("compensation", work)
        if outcome.failure is not None:
            return None
        return Compensated(how="called", evidence={"playbook": undo.name, **outcome.evidence})

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Whatever the playbook made, as far as alma can know."""
        return status.leftovers or self._leftover(reason)

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:  # noqa: ARG002
        """A playbook is opaque: it is played, and that is all that can be said."""
        what = f"play {self.playbook.name if self.playbook else 'its playbook'}"
        if self.undo_playbook is None:
            return StepPreview(what=what, undo="nothing: it has no undo_playbook", undoable=False)
        return StepPreview(what=what, undo=f"play {self.undo_playbook.name}", undoable=True)

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        """Wait for Ansible, then remove what it was given; the playbook is played again."""
        words = await wait_for(operation, PROGRAMS)
        clean(Path(operation.log))
        found = f"waited for {', '.join(words)} to end" if words else "nothing was left at work"
        return Reconciled(found=f"{found}; it is played again", evidence={"waited_for": words})

    def _acting(self, call: StepContext) -> Any:
        async def work(operation: Operation) -> Outcome:
            assert self.playbook is not None  # noqa: S101 - launch refuses a run that lacks it
            programs = ProgramRunner(operation)
            played = await self._play(self.playbook, call, operation, programs)
            # A signal that came when all was done has stopped nothing.
            failure = played.failure(self.optional_hosts)
            failure = failure and (programs.failure() or failure)
            try:
                outputs = check_json(played.outputs, "set_stats") if failure is None else {}
            except NotJsonError as error:
                failure, outputs = Failure(kind="action", message=str(error)), {}
            outputs = mark_secrets(outputs, secrets_in(await call.inputs()))
            secret = {key: Secret(outputs[key]) for key in self.secret_outputs if key in outputs}
            return Outcome(
                failure=failure,
                changes=played.counts,
                outputs={**outputs, **secret},
                began=played.began,
            )

        return work

    async def _play(
        self, playbook: Path, call: StepContext, operation: Operation, programs: ProgramRunner
    ) -> PlaybookResult:
        values = await call.inputs()
        return await play(playbook, self.inventory, values, Path(call.logs(operation)), programs)

    def _leftover(self, reason: str) -> tuple[Leftover, ...]:
        return (Leftover(step=self.name, reason=reason),)
