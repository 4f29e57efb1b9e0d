"""A step that is a pair of callables: the whole kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from alma.core.definition import StepDefinition
from alma.core.events import Leftover, StepStarted
from alma.core.operation import Operation, Reconciled
from alma.core.run import OpenOperation, StepStatus
from alma.errors import DefinitionError
from alma.steps.base import (
    Compensated,
    Outcome,
    Retained,
    Session,
    StateNow,
    StepContext,
    StepPreview,
    Way,
)
from alma.steps.form import Either, Form, Key, Named, Text
from alma.steps.step import Step
from alma.steps.values import code, digest, lacking, plain


@dataclass(frozen=True, kw_only=True)
class ActionStep(Step):
    """A pair of callables, plain or async: `action` does, `compensation` undoes."""

    kind = "action"
    form = Form(
        add="add_step",
        about="A pair of functions: one does, the other undoes.",
        keys={
            "action": Key(Named(), "The function that does it.", required=True),
            "compensation": Key(
                Either((Text(choices=("none",)), Named())),
                "The function that undoes it; none says that there is nothing to undo.",
            ),
        },
    )
    action: Callable[..., Any]
    compensation: Callable[..., Any] | Literal["none"] | None = None

    def validate(self) -> None:
        """Both can be called."""
        check_callables(self.where, self.action, self.compensation)

    def kind_fields(self) -> dict[str, Any]:
        """How it is undone."""
        if callable(self.compensation):
            return {"compensation": "callable"}
        return {"compensation": "nothing" if self.compensation == "none" else "none"}

    def bind(self, session: Session) -> ActionHandler:  # noqa: ARG002 - one signature for all
        """It can do and undo."""
        from alma.steps.callables import takes_context

        takes_context(self.action, f'The action of step "{self.name}"')
        undo = self.compensation
        if callable(undo):
            takes_context(undo, f'The compensation of step "{self.name}"')
        return ActionHandler(
            name=self.name,
            action=self.action,
            compensation=undo,
            inputs=self.inputs,
            digest=digest(
                code(self.action), code(undo) if callable(undo) else undo, plain(self.inputs)
            ),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Session | None) -> ActionHandler:  # noqa: ARG003
        """It can undo nothing: that is in the saga's file."""
        undo: Literal["none"] | None = "none" if definition.compensation == "nothing" else None
        return ActionHandler(name=definition.name, compensation=undo, lacks=lacking(definition))


def check_callables(where: str, action: object, compensation: object) -> None:
    """Refuse what cannot be called."""
    for what, function in (("action", action), ("compensation", compensation)):
        if not callable(function) and (what == "action" or function not in (None, "none")):
            raise DefinitionError(f"{where}: the {what} must be callable, not {function!r}.")


class ActionHandler(Struct, kw_only=True):
    """`action` or `compensation` may be None when only the other can be needed.

    A `compensation` of "none" is the author's word that there is nothing to undo.
    """

    name: str
    action: Callable[..., Any] | None = None
    compensation: Callable[..., Any] | Literal["none"] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    lacks: str = ""
    keeps_outputs: ClassVar[bool] = False

    async def require(self) -> None:
        """Nothing can be seen of what a callable needs."""

    async def inspect(self) -> StepStarted:
        """Nothing can be seen of an action from outside."""
        return StepStarted(step=self.name)

    async def existed(self, call: StepContext) -> tuple[str, ...]:  # noqa: ARG002 - one Protocol
        """An action sees for itself what is there."""
        return ()

    async def execute(self, call: StepContext) -> None:
        """Call the action."""
        await call.perform("action", self._work(call, self.action, "action"))

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Call the compensation; its return is the evidence."""
        if self.compensation == "none":
            return Compensated(how="nothing", evidence={"compensation": "there is nothing to undo"})
        if self.compensation is None:
            if call.kind == "destroy":
                return Compensated(how="nothing", evidence={"compensation": "none"})
            reason = "the step has no compensation"
            return Retained(reason=reason, leftovers=self._leftover(reason))
        outcome = await call.perform(
            "compensation", self._work(call, self.compensation, "compensation")
        )
        if outcome.failure is not None:
            return None
        return Compensated(how="called", evidence={"compensation": "returned"})

    async def reveal_outputs(self, call: StepContext) -> Mapping[str, Any]:  # noqa: ARG002
        """They are in the journal alone."""
        return {}

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Whatever the action made, as far as alma can know."""
        if self.compensation == "none":
            return ()
        return status.leftovers or self._leftover(reason)

    async def state_now(self) -> StateNow:
        """It has no state."""
        return StateNow()

    def given(self, inputs: Mapping[str, Any]) -> None:
        """It has no state that could be compared."""

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:  # noqa: ARG002
        """An action is opaque: it is called, and that is all that can be said."""
        undoable = self.compensation is not None
        name = getattr(self.compensation, "__name__", "its compensation")
        undo = f"call {name}" if undoable else "nothing: it has no compensation"
        if self.compensation == "none":
            undo = "nothing to undo"
        called = getattr(self.action, "__name__", "its action")
        way: Way | None = "nothing" if self.compensation == "none" else None
        return StepPreview(what=f"call {called}", undo=undo, undoable=undoable, way=way)

    async def current_outputs(self, names: frozenset[str]) -> Mapping[str, Any]:  # noqa: ARG002
        """Only a run knows what an action returned."""
        return {}

    async def reconcile(self, operation: OpenOperation) -> Reconciled:  # noqa: ARG002 - one Protocol
        """The action ended with the process that ran it."""
        return Reconciled(found="the process that ran it is gone; it is repeated with the same key")

    def _work(
        self, call: StepContext, function: Callable[..., Any] | None, what: str
    ) -> Callable[[Operation], Any]:
        from alma.steps.callables import call_function

        async def work(operation: Operation) -> Outcome:
            assert function is not None  # noqa: S101 - launch refuses a run that lacks it
            context = partial(call.context, what, await call.inputs())
            outcome = await call_function(function, context, operation)
            if outcome.failure is not None and what == "compensation":
                left = self._leftover(f"its compensation failed: {outcome.failure.message}")
                return replace(outcome, leftovers=left)
            return outcome

        return work

    def _leftover(self, reason: str) -> tuple[Leftover, ...]:
        return (Leftover(step=self.name, reason=reason),)
