"""From a saga, or from the journal alone, to handlers that can run it. Writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from alma.core.definition import Definition, LocalStack
from alma.core.redaction import Redactor
from alma.errors import DefinitionError
from alma.runner.settings import Settings
from alma.saga.saga import Saga
from alma.steps.base import Session, SessionOptions, StepHandler
from alma.steps.registry import UnknownKindError, find_kind, rebind
from alma.steps.values import without_secrets

Sessions = Mapping[str, Session]
"""By kind: what all steps of that kind share."""


class BoundSaga(Struct, frozen=True, kw_only=True):
    """A definition with its digests, a handler for each step, and the secrets known so far."""

    definition: Definition
    adapters: Mapping[str, StepHandler]
    redactor: Redactor


def define(saga: Saga, aws: LocalStack | None) -> Definition:
    """The saga as data; `aws` is where AWS steps go, if not where the saga says."""
    definition = saga.definition()
    return replace(definition, aws=aws or definition.aws)


@asynccontextmanager
async def open_sessions(
    definition: Definition, settings: Settings, saga: Saga | None = None
) -> AsyncIterator[Sessions]:
    """A session for each kind of step; one that cannot be had here has none."""
    asked = SessionOptions(
        journal=settings.journal_path, modules=settings.modules, engine=settings.engine
    )
    kinds = {step.kind: type(step) for step in saga.steps} if saga else {}
    async with AsyncExitStack() as opened:
        sessions = {}
        for name in dict.fromkeys(step.kind for step in definition.steps):
            try:
                kind = kinds.get(name) or find_kind(name)
            except UnknownKindError:
                continue  # Whoever needs a step of it is told.
            sessions[name] = await opened.enter_async_context(kind.open(definition, asked))
        yield sessions


async def check_sessions(sessions: Sessions) -> dict[str, str]:
    """Have each kind refuse what cannot end well; facts for the journal."""
    facts: dict[str, str] = {}
    for session in sessions.values():
        facts |= await session.check()
    return facts


def bind_saga(saga: Saga, definition: Definition, sessions: Sessions) -> BoundSaga:
    """Handlers of the steps that the definition has. Raises DefinitionError for what cannot run."""
    redactor = Redactor()
    for each in saga.steps:
        redactor.learn(list(each.secrets()))
    adapters, steps = {}, []
    made = {step.name: step for step in saga.steps}
    for step in definition.steps:
        adapter = made[step.name].bind(sessions[step.kind])
        # Taken once: what a function has closed over may change while it runs.
        digest = saga.digests.setdefault(step.name, adapter.digest)
        settings = without_secrets(step.settings, redactor)
        adapters[step.name] = adapter
        steps.append(replace(step, digest=digest, settings=settings))
    definition = replace(definition, steps=tuple(steps))
    return BoundSaga(definition=definition, adapters=adapters, redactor=redactor)


def bind_journaled(definition: Definition, sessions: Sessions) -> BoundSaga:
    """Handlers that can undo steps without the saga's file, as far as that is possible."""
    adapters = {step.name: rebind(step, sessions.get(step.kind)) for step in definition.steps}
    return BoundSaga(definition=definition, adapters=adapters, redactor=Redactor())


def require_undo(adapters: Mapping[str, StepHandler], started: Collection[str]) -> None:
    """Refuse to go back over what no journal keeps and is not at hand; the error names the step."""
    for name in started:
        if lacks := adapters[name].lacks:
            raise DefinitionError(lacks, hint="Give the saga's file with --target (or saga=...).")
