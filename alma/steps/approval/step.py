"""A step at which the run waits for a person: its definition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alma.core.definition import StepDefinition
from alma.errors import DefinitionError
from alma.steps.approval.form import FORM
from alma.steps.base import Session
from alma.steps.step import Step
from alma.steps.values import digest

if TYPE_CHECKING:
    from alma.steps.approval.handler import ApprovalHandler


@dataclass(frozen=True, kw_only=True)
class ApprovalStep(Step):
    """The steps after it begin once one of `approvers` has agreed to what they would do."""

    kind = "approval"
    form = FORM
    holds = True
    approvers: Iterable[str]

    def validate(self) -> None:
        """Somebody can approve it."""
        named = [self.approvers] if isinstance(self.approvers, str) else list(self.approvers)
        for name in named:
            if not str(name).strip() or not str(name).isprintable():
                raise DefinitionError(f"{self.where}: approvers holds {name!r}, which is no name.")
        if not named:
            raise DefinitionError(
                f"{self.where}: nobody could approve it: approvers is empty.",
                hint='Name them: approvers=["jane", "joe"].',
            )
        self._set("approvers", tuple(dict.fromkeys(str(name).strip() for name in named)))

    def kind_fields(self) -> dict[str, Any]:
        """Who may approve; there is nothing to undo."""
        return {"compensation": "nothing", "approvers": self.approvers}

    def bind(self, session: Session) -> ApprovalHandler:  # noqa: ARG002 - one signature for all
        """It asks, and takes the answer."""
        from alma.steps.approval.handler import ApprovalHandler

        names = tuple(self.approvers)
        return ApprovalHandler(
            name=self.name, approvers=names, timeout=self.timeout, digest=digest(names)
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Session | None) -> ApprovalHandler:  # noqa: ARG003
        """All of it is in the journal."""
        from alma.steps.approval.handler import ApprovalHandler

        return ApprovalHandler(
            name=definition.name,
            approvers=tuple(definition.approvers or ()),
            timeout=definition.timeout,
        )
