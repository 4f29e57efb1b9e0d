"""Which steps of a saga a run is about. Pure.

A run's definition has the steps that were selected and no others: what is not in it is neither
run nor undone. What such a step consumes of one that is not there is in its `outside`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from alma.core.definition import Definition, StepDefinition
from alma.core.events import RunKind
from alma.errors import DefinitionError


class Selection(Struct, frozen=True, kw_only=True):
    """What was asked for, by names and globs (`web-*`); by default all steps.

    `steps` come with what they depend on, those in `from_steps` with what depends on them, and
    with `exclusive` both alone. `exclude` is left out of it. In a destroy all of them come with
    what depends on them.
    """

    steps: tuple[str, ...] = ()
    from_steps: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclusive: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing was asked for: all steps are meant."""
        return not (self.steps or self.from_steps or self.exclude)

    def alone(self, definition: Definition) -> tuple[str, ...]:
        """The steps that are named, and none that goes with them: nothing is done to any.

        Raises DefinitionError for what names no step, and where nothing is left.
        """
        named = _matching(definition, self.steps, "") | _matching(
            definition, self.from_steps, "--from "
        )
        every = [step.name for step in definition.steps]
        left = (set(every) if self.is_all or not named else named) - _matching(
            definition, self.exclude, "--exclude "
        )
        if not left:
            raise DefinitionError(
                f'No step of saga "{definition.saga}" is left: all are excluded.',
            )
        return tuple(name for name in every if name in left)

    def chosen(self, definition: Definition, kind: RunKind = "up") -> tuple[str, ...]:
        """The steps that are meant, in the order they were added.

        Raises DefinitionError for what names no step, for `exclude` of what a chosen step needs,
        and where nothing is left.
        """
        if self.exclusive and not (self.steps or self.from_steps):
            raise DefinitionError(
                "--exclusive runs the steps that are named, and none is.",
                hint="Name them after the TARGET.",
            )
        named = _matching(definition, self.steps, "")
        starting = _matching(definition, self.from_steps, "--from ")
        excluded = _matching(definition, self.exclude, "--exclude ")
        every = {step.name for step in definition.steps}
        if kind == "up":
            chosen = named | starting
            if not self.exclusive:
                chosen = _with(named, lambda name: definition.step(name).dependencies)
                chosen |= _with(starting, definition.dependents)
        else:
            chosen = named | starting
            if not self.exclusive:
                chosen = _with(chosen, definition.dependents)
        if not (self.steps or self.from_steps):
            chosen = every
        chosen -= excluded
        if not self.exclusive:
            _refuse_needed(definition, chosen, excluded, kind)
        if kind == "up":
            _refuse_unapproved(definition, chosen)
        if not chosen:
            raise DefinitionError(
                f'No step of saga "{definition.saga}" is left: all are excluded.',
            )
        return tuple(step.name for step in definition.steps if step.name in chosen)


def part_of(definition: Definition, names: Iterable[str]) -> Definition:
    """The definition with these steps alone, in the order that they had.

    A step waits for the nearest of them that it waited for, also where steps between are left out.
    """
    kept = set(names)
    if kept >= {step.name for step in definition.steps}:
        return definition
    waits: dict[str, set[str]] = {}
    for name in definition.order:
        waits[name] = set()
        for before in definition.step(name).dependencies:
            waits[name] |= {before} if before in kept else waits[before]
    return replace(
        definition,
        steps=tuple(
            _alone(step, waits[step.name], kept) for step in definition.steps if step.name in kept
        ),
    )


def closed(definition: Definition) -> Definition:
    """The same, of which no step waits for one that it does not have."""
    kept = {step.name for step in definition.steps}
    steps = (_alone(one, kept.intersection(one.dependencies), kept) for one in definition.steps)
    return replace(definition, steps=tuple(steps))


def outside_of(definition: Definition) -> tuple[str, ...]:
    """The steps whose outputs are consumed, and that are not in the definition."""
    names = (name for step in definition.steps for name in step.outside or ())
    return tuple(dict.fromkeys(names))


def _alone(step: StepDefinition, waits: set[str], kept: set[str]) -> StepDefinition:
    outside = tuple(sorted(step.consumed - kept))
    waiting = tuple(sorted(waits))
    return replace(step, dependencies=waiting, **({"outside": outside} if outside else {}))


def _matching(definition: Definition, patterns: Iterable[str], option: str) -> set[str]:
    found: set[str] = set()
    names = [step.name for step in definition.steps]
    for pattern in patterns:
        fitting = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
        if not fitting:
            raise DefinitionError(
                f'{option}"{pattern}" is no step of saga "{definition.saga}".',
                hint=f"It has: {', '.join(names)}.",
            )
        found.update(fitting)
    return found


def _with(names: set[str], others: Callable[[str], Iterable[str]]) -> set[str]:
    found, waiting = set(names), list(names)
    while waiting:
        new = set(others(waiting.pop())) - found
        found |= new
        waiting += new
    return found


def _refuse_needed(
    definition: Definition, chosen: set[str], excluded: set[str], kind: RunKind
) -> None:
    """Who leaves out what another one builds on has to leave out that one as well."""
    for step in definition.steps:
        for before in step.dependencies:
            needed, user = (before, step.name) if kind == "up" else (step.name, before)
            if needed in excluded and user in chosen:
                why = (
                    f'step "{user}" comes after it' if kind == "up" else f'it comes after "{user}"'
                )
                raise DefinitionError(
                    f'--exclude "{needed}" cannot be: {why}, and is selected.',
                    hint=f'Exclude "{user}" as well, or name the steps and give --exclusive.',
                )


def _refuse_unapproved(definition: Definition, chosen: set[str]) -> None:
    """What comes after an approval is not run without it, by whichever selection."""
    for step in definition.steps:
        if not step.approvers or step.name in chosen:
            continue
        for name in definition.after(step.name):
            if name in chosen:
                raise DefinitionError(
                    f'Step "{name}" comes after the approval "{step.name}", which is not selected.',
                    hint=f'Select "{step.name}" as well.',
                )
