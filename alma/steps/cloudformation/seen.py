"""The part of a stack's handler that only looks: what stands there, and what would be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from alma.core.drift import Drift
from alma.core.events import Failure, Leftover, ResourceChange
from alma.core.operation import Difference, Operation, aside
from alma.core.run import StepStatus
from alma.errors import DefinitionError
from alma.pulumi.snapshots import Snapshots
from alma.steps.base import StateNow, StepContext, StepHandler, StepPreview, Way
from alma.steps.cloudformation import stacks
from alma.steps.cloudformation.before import REWRITTEN, changed_hidden
from alma.steps.cloudformation.changing import Change, counted, request_of
from alma.steps.cloudformation.drift import drifted, look
from alma.steps.cloudformation.service import Service, ServiceError
from alma.steps.cloudformation.stacks import HIDDEN, STANDING, Stack, id_of
from alma.steps.cloudformation.template import Template, as_secrets, as_text, parse
from alma.steps.step import Output

_SHELL: Final = "ROLLBACK_COMPLETE"
"""What a create that failed has left."""


@dataclass(kw_only=True)
class SeenStack(StepHandler):
    """What can be told of a stack, and changes nothing that is not taken back at once."""

    name: str
    service: Service
    stack: str
    template: Template | None = None
    capabilities: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    hidden: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    compensation: str | Callable[..., Any] = "destroy"
    snapshots: Snapshots | None = None
    known: Callable[[str], str] = field(default=lambda _name: "")
    """The id of the stack that the journal's last run of this target has left, by step."""
    skips: tuple[str, ...] = ()
    """Resources that an operator lets an undo go past."""

    async def state_now(self) -> StateNow:
        """One request."""
        now = await stacks.look(self.service, self.stack)
        if now is None:
            return StateNow()
        return StateNow(fingerprint=now.fingerprint, at=now.changed_at)

    def given(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its parameters, and its template."""
        literal = (name for name, value in self.inputs.items() if not isinstance(value, Output))
        return {
            **{f"parameter `{name}`": inputs[name] for name in literal},
            "template": self.template.text if self.template is not None else "",
        }

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:  # noqa: ARG002
        """Those of the stack, if it stands."""
        now = await stacks.look(self.service, self.stack)
        return now.outputs if now is not None and now.status in STANDING else {}

    async def held(self, now: Stack, reason: str) -> list[Leftover]:
        """Each resource that the stack shows, and is not deleted."""
        return [
            Leftover(step=self.name, stack=now.id, urn=one.name, id=one.id, reason=reason)
            for one in await stacks.resources(self.service, now.id)
            if one.status != stacks.DELETED and (one.id or one.status != "CREATE_FAILED")
        ]

    def id_in(self, status: StepStatus) -> str:
        """The id of the stack that the step's run has worked on, as far as its journal tells."""
        return id_of(status.fingerprint)

    @staticmethod
    def interrupt() -> asyncio.Event:
        """One that nobody sets."""
        return asyncio.Event()

    @property
    def _declared(self) -> Template:
        return self.template or Template(text="")

    def given_to(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Its parameters for a request."""
        return [
            {"ParameterKey": name, "ParameterValue": as_text(value)}
            for name, value in values.items()
        ]

    def options(self, now: Stack | None) -> dict[str, Any]:
        """What else a change set is asked for with; what the step does not say stays as it is."""
        there = now.options if now is not None else {}
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return {
            "Capabilities": list(self.capabilities),
            "Tags": tags or there.get("Tags") or [],
            "RoleARN": self.role or there.get("RoleARN") or "",
            "NotificationARNs": there.get("NotificationARNs") or [],
        }

    async def _check_template(self) -> None:
        """Raise DefinitionError for a template that CloudFormation does not take."""
        try:
            await self.service.call("validate_template", TemplateBody=self._declared.text)
        except ServiceError as error:
            if error.code == "ValidationError":
                words = f'Step "{self.name}": CloudFormation does not take its template: '
                raise DefinitionError(f"{words}{error.said}") from error
            if not error.is_unavailable:
                raise

    # -- ahead of a run ----------------------------------------------------------------------

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        """By a change set that is not executed; and what has drifted, where that can be told."""
        now = await stacks.look(self.service, self.stack)
        stands = now is not None and now.status in STANDING
        there = await stacks.resources(self.service, now.id) if now is not None and stands else []
        held = tuple(ResourceChange(urn=one.name, op="same", id=one.id) for one in there)
        what = f"{'update' if stands else 'create'} the CloudFormation stack {self.stack}"
        undo, undoable, way = self._foreseen_undo(stands=stands)
        foreseen = StepPreview(
            what=what, undo=undo, undoable=undoable, way=way, held=held, later=inputs is None
        )
        if inputs is None:
            return foreseen
        if now is not None and now.status not in (*STANDING, stacks.REVIEW, _SHELL):
            words = f"the stack {self.stack} is {now.status}: it cannot be updated"
            return replace(foreseen, failure=Failure(kind="provider", message=words))
        if now is not None and stands:
            foreseen = replace(foreseen, warnings=await self._drifted(now))
        if now is not None and now.status == _SHELL:
            # Nothing can be proposed for what an earlier create has left; it goes first.
            return foreseen
        try:
            return await self._proposed(foreseen, now if stands else None, inputs)
        except ServiceError as error:
            return replace(foreseen, failure=error.failure())

    async def _proposed(
        self, foreseen: StepPreview, now: Stack | None, inputs: Mapping[str, Any]
    ) -> StepPreview:
        change = Change(self.service, aside(self.interrupt()))
        values = as_secrets(self._declared, inputs)
        given, name = self.given_to(values), self.stack if now is None else now.id
        request = request_of(self._declared.text, given, self.options(now))
        found = await change.propose(name, new=now is None, **request)
        await change.withdraw(found)
        held = len(foreseen.held or ())
        lost = []
        if now is not None and found.failure is None:
            lost = await changed_hidden(change, now, given)
            shown = {key for key, value in now.parameters.items() if value != HIDDEN}
            lost += sorted(now.parameters.keys() - shown - self._declared.parameters.keys())
        return replace(
            foreseen,
            changes=counted(found.changes) or ({"same": held} if held else {}),
            resources=found.changes,
            failure=found.failure,
            at_risk=self._at_risk(found.changes, lost, new=now is None),
        )

    def _foreseen_undo(self, *, stands: bool) -> tuple[str, bool, Way | None]:
        first = "call its compensation, then " if callable(self.compensation) else ""
        if self.compensation == "retain":
            return "left as it is: compensation is retain", False, "retain"
        if stands:
            return f"{first}update it to the template and parameters it has now", True, "restore"
        return f"{first}delete the stack", True, "destroy"

    def _at_risk(
        self, changes: tuple[ResourceChange, ...], lost: Sequence[str], *, new: bool
    ) -> tuple[Difference, ...]:
        """What an undo would leave, or would not bring back as it is."""
        words = "NoEcho: nobody can read the value that it has, so it is not put back"
        found = [Difference(urn=f"{REWRITTEN}{name}", reason=words) for name in lost]
        for one in changes:
            if not new and one.op in ("delete", "replace"):
                words = "it is made anew when the update is undone, without what it holds"
                found.append(Difference(urn=one.urn, id=one.id, reason=words))
            if new and (policy := self._policy(one.urn)):
                words = f"its DeletionPolicy is {policy}: an undo leaves it"
                found.append(Difference(urn=one.urn, reason=words))
        return tuple(found)

    def _policy(self, name: str) -> str:
        try:
            about = parse(self._declared.text).get("Resources", {}).get(name, {})
        except ValueError:
            return ""
        policy = about.get("DeletionPolicy", "") if isinstance(about, Mapping) else ""
        return policy if policy in ("Retain", "Snapshot") else ""

    async def drift(
        self,
        call: StepContext,
        operation: Operation,  # noqa: ARG002 - one Protocol
    ) -> tuple[tuple[ResourceChange, ...], Failure | None]:
        """By CloudFormation's own detection."""
        try:
            return await drifted(self.service, self.id_in(call.status) or self.stack), None
        except ServiceError as error:
            return (), error.failure()

    async def deviations(
        self,
        call: StepContext,
        operation: Operation,  # noqa: ARG002 - one Protocol
    ) -> Drift:
        """By the same, and by property."""
        try:
            return await look(self.service, self.id_in(call.status) or self.stack)
        except ServiceError as error:
            return Drift(failure=error.failure())

    async def _drifted(self, now: Stack) -> tuple[str, ...]:
        """As warnings, where it can be told."""
        try:
            found = await drifted(self.service, now.id)
        except ServiceError as error:
            if error.is_unavailable:
                return ()
            return (f"CloudFormation could not look for drift: {error.said}",)
        words = "by somebody since the stack was changed last"
        return tuple(
            f"{one.urn} was {'deleted' if one.op == 'delete' else 'modified'} {words}"
            for one in found
        )
