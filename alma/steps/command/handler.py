"""A step that is a command: undone by another one, and seen to be there or gone by a third."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from alma.core.drift import Drift, ResourceDrift
from alma.core.events import Failure, Leftover
from alma.core.operation import Context, Operation, Reconciled
from alma.core.redaction import mark_secrets
from alma.core.run import OpenOperation, StepStatus
from alma.core.secret import Secret, secrets_in
from alma.errors import AlmaError, ToolError
from alma.steps.base import (
    Compensated,
    Outcome,
    Retained,
    StepContext,
    StepHandler,
    StepPreview,
)
from alma.steps.command.argv import name_of
from alma.steps.command.calling import GONE, Calling, Ended, Place, clean, look, output_in
from alma.steps.command.outputs import NoOutputsError, read_outputs
from alma.system import files
from alma.system.programs import ProgramRunner, wait_for

Argv = str | list[str]

_SHOWN: Final = 60
"""Characters of a command that a preview repeats."""
_SAME: Final = "same"
"""Of `changes`: `do` has said that it was there already, and has changed nothing."""


@dataclass(kw_only=True)
class CommandHandler(StepHandler):
    """`do` is None when only the undo can be needed."""

    name: str
    place: Place
    do: Argv | None = None
    undone_by: Argv | Literal["none"] | None = None
    check: Argv | None = None
    already: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    lacks: str = ""
    _said: Mapping[str, Any] | None = None
    """What `do` has written in an attempt whose success is in no journal."""
    _cut_off: Path | None = None
    """Where that has logged, when it was cut off."""

    async def require(self) -> None:
        """The directory and the programs are here."""
        if not self.place.work_dir.is_dir():
            raise ToolError(
                f"{self.place.where}: there is no directory {self.place.work_dir}.",
                hint="Its commands are run there: put it back.",
            )
        for command in (self.do, self.undone_by, self.check):
            if command is not None and command != "none":
                self.place.argv(command)

    async def existed(self, call: StepContext) -> tuple[str, ...]:
        """Whether it is there already, as the check says."""
        if self.check is None:
            return ()
        context = call.context("action", await call.inputs())
        seen = await look(self.place, self.check, context, call.status.definition.timeout)
        if seen.code == 0:
            return (hashlib.sha256(repr(self.check).encode()).hexdigest(),)
        if self._says_gone(seen):
            return ()
        raise AlmaError(f"Nobody can tell what is there: {seen.words}")

    async def execute(self, call: StepContext) -> None:
        """Run it; what it writes to ALMA_OUTPUT are the outputs."""
        await call.perform("action", partial(self._act, call))

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Run the undo, then ask the check whether it is gone, if there is one."""
        if self.undone_by == "none":
            return Compensated(how="nothing", evidence={"compensation": "there is nothing to undo"})
        if call.kind == "up" and (kept := self._not_ours(call.status)) is not None:
            return kept
        if self.undone_by is None:
            if call.kind == "destroy":
                return Compensated(how="nothing", evidence={"compensation": "none"})
            reason = "the step has no undo"
            return Retained(reason=reason, leftovers=self._leftover(reason))
        outcome = await call.perform("compensation", partial(self._undo, call, self.undone_by))
        if outcome.failure is not None:
            return None
        return Compensated(how="called", evidence=outcome.evidence)

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Whatever the command made, as far as alma can know."""
        if self.undone_by == "none" or _changed_nothing(status):
            return ()
        return status.leftovers or self._leftover(reason)

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:  # noqa: ARG002
        """A command is opaque: it is run, and that is all that can be said."""
        what = f"run {shown(self.do)}"
        if self.undone_by == "none":
            return StepPreview(what=what, undo="nothing to undo", undoable=True, way="nothing")
        if self.undone_by is None:
            return StepPreview(what=what, undo="nothing: it has no undo", undoable=False)
        seen = f", then {shown(self.check)} must say that it is gone" if self.check else ""
        return StepPreview(what=what, undo=f"run {shown(self.undone_by)}{seen}", undoable=True)

    async def deviations(self, call: StepContext, operation: Operation) -> Drift | None:
        """Whether its `check` still finds it."""
        if self.check is None:
            return None
        context = call.context("action", await call.inputs())
        calling = self._calling(call, operation, context, doubt=False)
        try:
            seen = await calling.run("check", self.check, context, context.result)
        finally:
            calling.close()
        if seen.code == 0:
            return Drift()
        if self._says_gone(seen):
            lost = ResourceDrift(urn=self.name, op="delete", why=f"it is not there: {seen.words}")
            return Drift(resources=(lost,))
        return Drift(failure=calling.programs.failure() or seen.failure("unverified"))

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        """Wait for the command and what it has started, and see what it has written."""
        commands = (self.do, self.undone_by, self.check)
        names = [name_of(one) for one in commands if one and one != "none"]
        words = await wait_for(operation, names, whole=True)
        self._cut_off = logs = Path(operation.log)
        if operation.kind == "action" and output_in(logs).is_file():
            with suppress(NoOutputsError):
                self._said = read_outputs(output_in(logs))
        clean(logs)
        found = f"waited for {', '.join(words)} to end" if words else "nothing was left at work"
        return Reconciled(found=found, evidence={"waited_for": words})

    # -- parts -------------------------------------------------------------------------------

    async def _act(self, call: StepContext, operation: Operation) -> Outcome:
        assert self.do is not None  # noqa: S101 - launch refuses a run that lacks it
        context = call.context("action", await call.inputs())
        doubt = context.in_doubt or bool(call.status.cut_off)
        calling = self._calling(call, operation, context, doubt=doubt)
        try:
            if doubt and self.check and self._said is not None and not _existed(call.status):
                seen = await calling.run("check", self.check, context, self._said)
                if seen.code == 0:
                    evidence = {"check": 0, "do": "not repeated"}
                    return self._succeeded(context, self._said, evidence)
                if not self._says_gone(seen):
                    failure = calling.programs.failure() or seen.failure("unverified")
                    return Outcome(failure=failure)
            return await self._do(calling, context, self.do)
        finally:
            calling.close()

    async def _do(self, calling: Calling, context: Context, do: Argv) -> Outcome:
        ended, failure = await _started(calling.run("do", do, context), calling)
        if ended is None or ended.code is None:
            return Outcome(failure=failure, began=False)
        programs, problem = calling.programs, None
        try:
            self._said = said = calling.outputs()
        except NoOutputsError as error:
            self._said = said = {}
            problem = f"what {ended.program} has written to ALMA_OUTPUT cannot be taken: {error}"
        programs.operation.redact.learn(self._secret(context, said))
        if ended.code in self.already:
            evidence = {"do": f"exit code {ended.code}: it was there already"}
            outcome = self._succeeded(context, said, evidence, changes={_SAME: 1})
        elif ended.code == 0:
            outcome = self._succeeded(context, said, {"do": "exit code 0"})
        else:
            return Outcome(failure=programs.failure() or ended.failure())
        if problem is not None:
            return Outcome(failure=Failure(kind="program", message=problem))
        return await self._seen_there(calling, context, outcome)

    async def _seen_there(self, calling: Calling, context: Context, outcome: Outcome) -> Outcome:
        """A check that does not see what was made would see nothing after the undo either."""
        if self.check is None:
            return outcome
        seen = await calling.run("check", self.check, context, outcome.outputs)
        if seen.code == 0:
            return outcome
        if self._says_gone(seen):
            words = f"do has succeeded, and by its check it is not there: {seen.words}"
            failure = Failure(kind="unverified", message=words)
        else:
            failure = calling.programs.failure() or seen.failure("unverified")
        return Outcome(failure=failure)

    async def _undo(self, call: StepContext, undo: Argv, operation: Operation) -> Outcome:
        context = call.context("compensation", await call.inputs())
        calling = self._calling(call, operation, context, doubt=context.in_doubt)
        known = context.result or self._said or {}
        evidence: dict[str, Any] = {}
        try:
            ended, failure = await _started(calling.run("undo", undo, context, known), calling)
            if ended is not None and failure is None:
                evidence["undo"] = f"exit code {ended.code}"
                if ended.code != 0 and ended.code not in self.gone:
                    failure = calling.programs.failure() or ended.failure()
            if failure is None:
                evidence["check"], failure = await self._seen_gone(call, calling, known)
        finally:
            calling.close()
        left = () if failure is None else self._leftover(failure.message)
        return Outcome(failure=failure, evidence=evidence, leftovers=left)

    async def _seen_gone(
        self, call: StepContext, calling: Calling, known: Mapping[str, Any]
    ) -> tuple[str, Failure | None]:
        if self.check is None:
            return "none", None
        context = call.context("action", await call.inputs())
        seen = await calling.run("check", self.check, context, known)
        said = f"exit code {seen.code}"
        if self._says_gone(seen):
            return said, None
        if seen.code == 0:
            words = f"undo has succeeded, and by its check it is still there: {seen.words}"
            return said, Failure(kind="unverified", message=words)
        return said, calling.programs.failure() or seen.failure("unverified")

    def _not_ours(self, status: StepStatus) -> Compensated | Retained | None:
        """What speaks against an undo: it was there before, or nobody can tell who has made it."""
        if _changed_nothing(status):
            return Compensated(how="unchanged", evidence={"do": "it was there already"})
        if _existed(status):
            reason = "it was there before this run (check has seen it): left, as it is now"
        elif _SAME in status.changes and self.check is None:
            reason = "do has said that it was there already, and an attempt before it had failed"
        else:
            return None
        return Retained(reason=reason, leftovers=self._leftover(reason))

    def _calling(
        self, call: StepContext, operation: Operation, context: Context, *, doubt: bool
    ) -> Calling:
        logs = Path(call.logs(operation))
        operation.redact.learn(self._secret(context, self._said or {}))
        if self._cut_off is not None:
            files.clean_logs(self._cut_off, operation.redact)
        return Calling(self.place, ProgramRunner(operation), logs, doubt=doubt)

    def _secret(self, context: Context, said: Mapping[str, Any]) -> dict[str, Any]:
        marked = mark_secrets(said, secrets_in(dict(context.inputs)))
        secret = {key: Secret(said[key]) for key in self.secret_outputs if key in said}
        return {**marked, **secret}

    def _succeeded(
        self,
        context: Context,
        said: Mapping[str, Any],
        evidence: Mapping[str, Any],
        changes: Mapping[str, int] | None = None,
    ) -> Outcome:
        outputs = self._secret(context, said)
        return Outcome(outputs=outputs, evidence=evidence, changes=changes or {})

    def _says_gone(self, seen: Ended) -> bool:
        return seen.code in (self.gone or GONE)

    def _leftover(self, reason: str) -> tuple[Leftover, ...]:
        return (Leftover(step=self.name, reason=reason),)


async def _started(
    running: Awaitable[Ended], calling: Calling
) -> tuple[Ended | None, Failure | None]:
    """How it has ended; or why nothing was started."""
    try:
        ended = await running
        return ended, calling.programs.failure() if ended.code is None else None
    except (OSError, ToolError) as error:
        if calling.programs.process is not None:
            raise
        words = error.message if isinstance(error, ToolError) else f"{error.strerror}"
        return None, Failure(kind="program", message=f"it cannot be started: {words}")


def _existed(status: StepStatus) -> bool:
    return status.started is not None and bool(status.started.existed)


def _changed_nothing(status: StepStatus) -> bool:
    """Its one attempt has said that it was there already."""
    return _SAME in status.changes and status.operations == 1 and not status.unobserved


def shown(command: object) -> str:
    """A command for people: its program and as much of the rest as a line holds."""
    import shlex

    arguments = command if isinstance(command, list) else []
    words = command if isinstance(command, str) else shlex.join(arguments)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
