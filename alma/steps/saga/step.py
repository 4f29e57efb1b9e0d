"""A step that is a whole saga, or one for each item: its definition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alma.core.definition import INPUTS, Definition, StepDefinition
from alma.core.secret import Secret
from alma.errors import DefinitionError
from alma.steps.base import Session, SessionOptions
from alma.steps.nested import Defined, Nested
from alma.steps.saga.form import FORM
from alma.steps.saga.items import EACH, require_saga
from alma.steps.step import Output, Step
from alma.steps.values import code, digest, plain

if TYPE_CHECKING:
    from alma.steps.saga.handler import SagaHandler


class SagaSession(Session):
    """What makes the runs."""

    def __init__(self, nested: Nested) -> None:
        self.nested = nested


@dataclass(frozen=True, kw_only=True)
class SagaStep(Step):
    """`make` gives the saga of an item; `sagas` are those that are known by now, by item.

    Where it is one saga, its item is empty; `alone`: `make` is called for it, with nothing.
    """

    kind = "saga"
    form = FORM
    sagas: Mapping[str, Any]
    make: Callable[..., Any] | None = None
    at_once: int = 4
    alone: bool = False

    def validate(self) -> None:
        """Sagas that are no other's target, and are given what they take."""
        if type(self.at_once) is not int or self.at_once < 1:
            raise DefinitionError(
                f"{self.where}: at_once must be a whole number of at least 1, not {self.at_once!r}."
            )
        targets: dict[str, str] = {}
        for item, saga in self.sagas.items():
            require_saga(self.where, saga)
            if (other := targets.setdefault(saga.target, item)) != item:
                raise DefinitionError(
                    f'{self.where}: "{other}" and "{item}" are the same saga, {saga.target}.',
                    hint="Give each a name or a stack of its own.",
                )
            given = self.inputs.keys() - {EACH}
            needed = taken_by(saga)
            if missing := sorted(needed - given):
                raise DefinitionError(
                    f'{self.where}: saga "{saga.name}" takes the input "{missing[0]}", and is not '
                    "given it."
                )
            if unknown := sorted(given - needed):
                raise DefinitionError(
                    f'{self.where}: no step of saga "{saga.name}" takes the input "{unknown[0]}".',
                    hint=f'A step takes it by inputs={{"...": saga.input("{unknown[0]}")}}.',
                )

    def join(self, owner: object) -> None:
        """It must not be a part of itself."""
        for saga in self.sagas.values():
            for inner in (saga, *_inner(saga)):
                if inner is owner or inner.target == getattr(owner, "target", None):
                    raise DefinitionError(
                        f"{self.where}: saga {inner.target} would be a part of itself.",
                        hint="Give it a name or a stack of its own.",
                    )
        super().join(owner)

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """The targets."""
        return tuple(("saga", saga.target) for saga in self.sagas.values())

    def secrets(self) -> Iterator[Secret]:
        """Those of the sagas as well: their words may come into this one's run."""
        yield from super().secrets()
        for saga in self.sagas.values():
            for step in saga.steps:
                yield from step.secrets()

    def kind_fields(self) -> dict[str, Any]:
        """What of the sagas only their file has."""
        settings: dict[str, Any] = {
            "of": getattr(self.owner, "target", ""),
            "targets": {item: saga.target for item, saga in self.sagas.items()},
        }
        found = (function_in(saga.definition()) for saga in self.sagas.values())
        if self.make is not None and not self.sagas:
            settings["function"] = ""
        elif function := next(filter(None, found), ""):
            settings["function"] = function
        return {"compensation": "saga", "settings": settings}

    def parts(self) -> Mapping[str, Any]:
        """The sagas that are known by now, by item."""
        return self.sagas

    def bind(self, session: SagaSession) -> SagaHandler:
        """It can do and undo."""
        from alma.steps.saga.handler import SagaHandler

        parts = {item: saga.definition().to_json() for item, saga in self.sagas.items()}
        return SagaHandler(
            name=self.name,
            nested=session.nested,
            sagas=self.sagas,
            make=self.make,
            at_once=self.at_once,
            alone=self.alone,
            inputs=self.inputs,
            target=getattr(self.owner, "target", ""),
            digest=digest(parts, code(self.make), self.at_once, plain(self.inputs)),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: SagaSession | None) -> SagaHandler:
        """It can undo the runs that the journal knows: each has its own definition there."""
        from alma.steps.saga.handler import SagaHandler

        function = str(definition.settings.get("function", ""))
        words = (
            f'Step "{definition.name}" is a saga whose step {function} is undone by a function, '
            "which no journal can keep."
        )
        return SagaHandler(
            name=definition.name,
            nested=session.nested if session is not None else None,
            target=str(definition.settings.get("of", "")),
            lacks=words if function else "",
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        definition: Definition,  # noqa: ARG003 - one signature for all
        asked: SessionOptions,
    ) -> AsyncIterator[SagaSession]:
        """What makes the runs."""
        yield SagaSession(asked.nested)


def taken_by(saga: Defined) -> set[str]:
    """The inputs that its steps take of those that it is given as a whole."""
    return {
        value.name
        for step in saga.steps
        for value in step.inputs.values()
        if isinstance(value, Output) and value.step == INPUTS
    }


def function_in(definition: Definition) -> str:
    """The step, if any, whose undo no journal can keep, however deep."""
    for step in definition.steps:
        if step.compensation == "callable":
            return f'"{step.name}" of {definition.target}'
        if inner := str(step.settings.get("function", "")):
            return inner
    return ""


def _inner(saga: Any) -> Iterator[Any]:
    for step in saga.steps:
        for inner in step.parts().values():
            yield inner
            yield from _inner(inner)
