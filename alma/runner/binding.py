"""From a saga, or from the journal alone, to handlers that can run it. Writes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from alma.core.definition import Definition, LocalStack
from alma.core.event_parts import Notifier
from alma.core.redaction import Redactor, credentials_masked
from alma.core.run import RunStatus
from alma.core.secret import mask, secrets_in
from alma.errors import DefinitionError
from alma.journal.known import Given
from alma.runner.children import Children
from alma.runner.directory import followed
from alma.runner.known_runs import known_runs, runs_before
from alma.runner.ready import Gate, gate_of
from alma.runner.settings import Settings
from alma.runner.snapshots import shared_snapshots
from alma.saga.notify import Held
from alma.saga.saga import Saga
from alma.steps.base import Session, SessionOptions, StepHandler
from alma.steps.registry import UnknownKindError, find_kind, rebind, sees_alone
from alma.steps.unbound import UnboundHandler
from alma.steps.values import digest as digest_of
from alma.steps.values import watched_digest, with_secrets, without_secrets
from alma.system.environment import secrets_in_environment

Sessions = Mapping[str, Session]
"""By kind: what all steps of that kind share."""


class BoundSaga(Struct, frozen=True, kw_only=True):
    """A definition with its digests, a handler for each step, and the secrets known so far."""

    definition: Definition
    adapters: Mapping[str, StepHandler]
    redactor: Redactor
    given: Given = field(default_factory=Given)
    """What of the definition the journal keeps sealed."""
    gates: Mapping[str, Gate] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    """As of `Saga`; the parameters masked."""
    notify: tuple[tuple[Notifier, Held], ...] = ()


def define(saga: Saga, aws: LocalStack | None) -> Definition:
    """The saga as data; `aws` is where AWS steps go, if not where the saga says."""
    definition = saga.definition()
    return replace(definition, aws=aws or definition.aws)


@asynccontextmanager
async def open_sessions(
    definition: Definition,
    settings: Settings,
    saga: Saga | None = None,
    *,
    last: RunStatus | None = None,
    follow: bool = False,
    write: bool = False,
) -> AsyncIterator[Sessions]:
    """A session for each kind of step; one that cannot be had here has none.

    `last` is the run that has made what is there: `follow` it to where its stacks are, or refuse
    to make them a second time. `write`: the run is to change something.
    """
    kinds = {step.kind: type(step) for step in saga.steps} if saga else {}
    async with AsyncExitStack() as opened:
        asked = SessionOptions(
            journal=settings.kept_beside,
            snapshots=opened.enter_context(shared_snapshots(settings)),
            modules=settings.modules,
            engine=settings.engine,
            runs=known_runs(settings),
            directory=followed(last if follow else None),
            backend=saga.backend if saga else "",
            secrets_provider=saga.secrets_provider if saga else "",
            last=last,
            nested=Children(settings),
            before=runs_before(settings, last),
            follow=follow,
            idle=settings.changed,
            write=write,
            skip=settings.skip,
        )
        sessions = {}
        for name in dict.fromkeys(step.kind for step in definition.steps):
            try:
                kind = kinds.get(name) or find_kind(name)
            except UnknownKindError:
                continue  # Whoever needs a step of it is told.
            sessions[name] = await opened.enter_async_context(kind.open(definition, asked))
        yield sessions


async def check(
    sessions: Sessions, handlers: Iterable[StepHandler], gates: Iterable[Gate] = ()
) -> dict[str, str]:
    """Have each kind, each step that may act, and what is asked of it refuse what cannot end well.

    Nothing was touched yet. Returns facts for the journal.
    """
    for gate in gates:
        gate.require()
    facts: dict[str, str] = {}
    for session in sessions.values():
        facts |= await session.check()
    # Side by side, as some start a program to find out; the first one's refusal is told.
    refused = await asyncio.gather(
        *(handler.require() for handler in handlers), return_exceptions=True
    )
    for error in refused:
        if error is not None:
            raise error
    return facts


def noted(sessions: Sessions) -> tuple[str, ...] | UnsetType:
    """What was seen before the first step, for the journal."""
    return tuple(note for session in sessions.values() for note in session.notes) or UNSET


def bind_saga(saga: Saga, definition: Definition, sessions: Sessions) -> BoundSaga:
    """Handlers of the steps that the definition has. Raises DefinitionError for what cannot run."""
    given = Given(
        secrets=[
            *secrets_in(saga.parameters),
            *(secret for each in saga.steps for secret in each.secrets()),
        ]
    )
    redactor = Redactor()
    redactor.learn([given.secrets, [dict(held) for _, held in saga.notify]])
    adapters, steps = {}, []
    made = {step.name: step for step in saga.steps}
    for step in definition.steps:
        made[step.name].load()
    found = {step.name: gate_of(made[step.name]) for step in definition.steps}
    gates = {name: gate for name, gate in found.items() if gate is not None}
    given.secrets.extend(secret for gate in gates.values() for secret in gate.secrets())
    redactor.learn(given.secrets)
    for step in definition.steps:
        adapter = made[step.name].bind(sessions[step.kind])
        step = sessions[step.kind].settled(step)  # noqa: PLW2901
        # Taken once: what a function has closed over may change while it runs.
        if step.name not in saga.digests:
            watched = watched_digest(made[step.name].where, made[step.name].watch)
            parts = [watched] if watched else []
            if gate := gates.get(step.name):
                gate.require_seen(adapter)
                parts.append(gate.digest)
            mine = digest_of(adapter.digest, *parts) if parts else adapter.digest
            saga.digests[step.name] = mine
        digest = saga.digests[step.name]
        settings, secret = without_secrets(step.settings, redactor)
        if secret:
            given.settings[step.name] = secret
        adapters[step.name] = adapter
        steps.append(replace(step, digest=digest, settings=settings))
    definition = replace(definition, steps=tuple(steps))
    shown = shown_parameters(saga.parameters, redactor)
    if shown != saga.parameters:
        given.parameters.update(saga.parameters)
    return BoundSaga(
        definition=definition,
        adapters=adapters,
        redactor=redactor,
        given=given,
        gates=gates,
        parameters=shown,
        overrides=saga.overrides,
        notify=saga.notify,
    )


def shown_parameters(parameters: Mapping[str, Any], redact: Redactor) -> dict[str, Any]:
    """As anybody may see them: a password in a URL is masked as well."""
    redact.learn(secrets_in_environment(os.environ))
    shown: dict[str, Any] = credentials_masked(redact.clean(mask(parameters)))
    return shown


def bind_journaled(
    definition: Definition, sessions: Sessions, given: Given | None = None
) -> BoundSaga:
    """Handlers that can undo steps without the saga's file, as far as that is possible."""
    given = given or Given()
    adapters = {}
    for step in definition.steps:
        whole = with_secrets(step.settings, given.settings.get(step.name, {}))
        adapters[step.name] = rebind(replace(step, settings=whole), sessions.get(step.kind))
    redactor = Redactor()
    redactor.learn(given.secrets)
    return BoundSaga(definition=definition, adapters=adapters, redactor=redactor)


def bind_to_name(definition: Definition, sessions: Sessions) -> BoundSaga:
    """Handlers that can name what is left, for who only keeps the books: they run nothing.

    Of a step that runs a program to be looked at, or is of somebody's own kind, the journal tells.
    """
    adapters: dict[str, StepHandler] = {}
    for step in definition.steps:
        if sees_alone(step.kind):
            adapters[step.name] = rebind(step, sessions.get(step.kind))
        else:
            adapters[step.name] = UnboundHandler(name=step.name, lacks="It is only looked at.")
    return BoundSaga(definition=definition, adapters=adapters, redactor=Redactor())


class SecretsLackingError(DefinitionError):
    """What an undo lacks is a secret that the journal keeps sealed."""


GIVE: Final = "Give the saga's file with --target (or saga=...)."


def require_undo(prepared: BoundSaga, started: Collection[str], *, hint: str = GIVE) -> None:
    """Refuse to go back over what no journal keeps and is not at hand; the error names the step."""
    for name in started:
        if lacks := prepared.adapters[name].lacks:
            sealed = prepared.definition.step(name).settings.get("secrets")
            kind = SecretsLackingError if sealed else DefinitionError
            raise kind(lacks, hint=hint)
