"""What `up` would do, and what a failure of it would undo. Writes nothing, starts no run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from msgspec.structs import replace

from alma.core.definition import INPUTS, Definition, target_of
from alma.core.selection import part_of
from alma.errors import AlmaError
from alma.runner.binding import BoundSaga, bind_saga, check, define, open_sessions
from alma.runner.changed import Earlier, digests_of, earlier_of, unlike
from alma.runner.directory import followed, refuse_another_journal
from alma.runner.outside import outputs_outside
from alma.runner.settings import Settings
from alma.runner.start import as_deployed, last_run
from alma.saga.saga import Saga
from alma.steps.base import IncomparableError, Outcome, StepPreview, Way
from alma.steps.step import Output

_SAME: Final = {"same", "read", "refresh"}


@dataclass(frozen=True, kw_only=True)
class PreviewedStep:
    """One step. `unknown` names the inputs (`database.url`) that only a run can know."""

    name: str
    kind: str
    stack: str
    foreseen: StepPreview
    unknown: tuple[str, ...] = ()
    why: str = ""
    """Where only what has changed would be run: what has."""
    since: str = ""
    """The run since which it has not; it would be left alone."""

    @property
    def undo(self) -> str:
        """The same in words."""
        return "nothing to undo, as nothing changes" if self.changes_nothing else self.foreseen.undo

    @property
    def way(self) -> Way:
        """How it would be undone: `retain` leaves it as it is, `call` is its own compensation."""
        if self.changes_nothing:
            return "nothing"
        return self.foreseen.way or ("call" if self.foreseen.undoable else "retain")

    @property
    def changes_nothing(self) -> bool:
        """Whether `up` would leave the stack as it is: then there is nothing to undo."""
        changes = self.foreseen.changes
        if self.since:
            return True
        return self.foreseen.failure is None and bool(changes) and not (set(changes or ()) - _SAME)


@dataclass(frozen=True, kw_only=True)
class SagaPreview:
    """`steps` in the order of `up`; `undo` names them in the order in which all would be undone.

    `pivots`: once one of these steps has completed, nothing is undone any more. `policy` is
    "compensate" or "stop". `left_out` are the steps that were not selected.
    """

    saga: str
    stack: str
    steps: tuple[PreviewedStep, ...]
    undo: tuple[str, ...]
    pivots: tuple[str, ...]
    policy: str
    organization: str = ""
    definition: Definition
    backend: str = ""
    """Where stacks are kept that have no backend of their own."""
    directory: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """As of its runs."""
        return target_of(self.saga, self.organization, self.stack)

    @property
    def ok(self) -> bool:
        """Whether no step's preview failed."""
        return all(step.foreseen.failure is None for step in self.steps)

    @property
    def not_undoable(self) -> tuple[str, ...]:
        """The steps that a failure would leave as they are then."""
        return tuple(
            step.name
            for step in self.steps
            if not step.foreseen.undoable and not step.changes_nothing
        )


async def preview(
    saga: Saga,
    settings: Settings | None = None,
    *,
    kind: Literal["up", "destroy"] = "up",
    deep: bool = True,
) -> SagaPreview:
    """Look at every step, one after the other; at its state alone if not `deep`.

    What a step consumes is taken from the outputs as they are now: of a stack that is not there
    yet there are none, and then no more can be said of the step. Raises as `Saga.execute` does
    before it starts anything.
    """
    settings = settings or Settings()
    refuse_another_journal(saga, settings)
    follow = kind == "destroy"
    last = last_run(saga, settings)[0]
    if follow:
        settings = as_deployed(last, saga, settings)
    whole = define(saga, settings.aws)
    chosen = settings.selection.chosen(whole, kind)
    defined = part_of(whole, chosen)
    last = None if settings.accept_backend else last
    async with open_sessions(defined, settings, saga, last=last, follow=follow) as sessions:
        prepared = bind_saga(saga, defined, sessions)
        gates = () if follow else prepared.gates.values()
        facts = await check(sessions, prepared.adapters.values(), gates)
        given = {INPUTS: settings.given}
        if not follow:
            given |= await outputs_outside(saga, whole, defined, settings, last)
        order = prepared.definition.order
        earlier: Mapping[str, Earlier] = {}
        if settings.changed:
            with settings.open(write=False) as journal:
                earlier = earlier_of(journal, prepared.definition)
        now = _Now(prepared=prepared, given=given, earlier=earlier, facts=facts)
        steps = [await _look(name, now, deep=deep) for name in order]
    definition = prepared.definition
    return SagaPreview(
        saga=definition.saga,
        stack=definition.stack,
        steps=tuple(steps),
        undo=tuple(reversed(order)),
        pivots=tuple(step.name for step in definition.steps if step.pivot),
        policy=definition.on_failure,
        organization=definition.organization,
        definition=definition,
        backend=facts.get("backend", ""),
        directory=followed(last if follow else None),
        left_out=tuple(step.name for step in whole.steps if step.name not in chosen),
    )


@dataclass(frozen=True, kw_only=True)
class _Now:
    """What there is: handlers, outputs of steps outside, and what the journal knows of the rest."""

    prepared: BoundSaga
    given: Mapping[str, Mapping[str, Any]]
    earlier: Mapping[str, Earlier]
    facts: Mapping[str, str]


async def _look(name: str, now: _Now, *, deep: bool) -> PreviewedStep:
    prepared = now.prepared
    adapter = prepared.adapters[name]
    inputs, unknown = await _inputs(adapter.inputs, now) if deep or now.earlier else ({}, ())
    why, earlier = "", now.earlier.get(name)
    if earlier is not None:
        why = f"it consumes {', '.join(unknown)}" if unknown else await _why(name, inputs, now)
        if not why:
            return PreviewedStep(
                name=name,
                kind=prepared.definition.step(name).kind,
                stack=_label(prepared.definition, name),
                foreseen=StepPreview(
                    what=f"left alone: unchanged since run {earlier.run}", undo="", undoable=True
                ),
                since=earlier.run,
            )
    try:
        foreseen = await adapter.preview(None if unknown or not deep else inputs)
    except AlmaError:
        raise
    except Exception as error:  # noqa: BLE001 - a kind's own may raise anything
        failure = Outcome.raised(error).failure
        foreseen = StepPreview(what="", undo="", undoable=False, failure=failure)
    if gate := prepared.gates.get(name):
        foreseen = replace(foreseen, what=f"{foreseen.what}; ready when {gate.words}")
    return PreviewedStep(
        name=name,
        kind=prepared.definition.step(name).kind,
        stack=_label(prepared.definition, name),
        foreseen=foreseen,
        unknown=unknown,
        why=why,
    )


async def _why(name: str, inputs: Mapping[str, Any], now: _Now) -> str:
    """Why the step would not be left alone; empty where it would be."""
    adapter, definition = now.prepared.adapters[name], now.prepared.definition
    around = {"LocalStack": now.facts.get("localstack", "")} if definition.aws else {}
    try:
        digests = digests_of(adapter, definition.step(name), inputs, around)
    except IncomparableError as error:
        return str(error)
    return await unlike(now.earlier[name], adapter, digests)


def _label(definition: Definition, name: str) -> str:
    project = definition.step(name).project
    return f"{project}/{definition.stack}" if project else ""


async def _inputs(sources: Mapping[str, Any], now: _Now) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The inputs as far as they are known now, and the outputs that are not."""
    wanted: dict[str, set[str]] = {}
    for source in sources.values():
        if isinstance(source, Output):
            wanted.setdefault(source.step, set()).add(source.name)
    outputs: dict[str, Mapping[str, Any]] = {}
    for step, names in wanted.items():
        if step in now.given:
            outputs[step] = now.given[step]
        else:
            adapter = now.prepared.adapters[step]
            outputs[step] = await adapter.current_outputs(frozenset(names))
    inputs: dict[str, Any] = {}
    unknown: list[str] = []
    for key, source in sources.items():
        if not isinstance(source, Output):
            inputs[key] = source
        elif source.name in outputs[source.step]:
            inputs[key] = outputs[source.step][source.name]
        else:
            unknown.append(f"{source.step}.{source.name}")
    return inputs, tuple(sorted(set(unknown)))
