"""A run that exists, with the saga as it is now: what of it is gone on with, and may it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.definition import Definition, LocalStack
from alma.core.run import RunStatus
from alma.core.selection import part_of
from alma.core.validation import is_whole
from alma.errors import AuthenticationError, DefinitionError, RefusedError
from alma.journal import Journal
from alma.journal.known import Given, parameters_of
from alma.runner.binding import (
    BoundSaga,
    Sessions,
    bind_journaled,
    bind_saga,
    define,
    require_undo,
)
from alma.runner.leased_run import resume_hint
from alma.runner.settings import Settings
from alma.saga.making import changed
from alma.saga.saga import Saga


def define_again(
    run: RunStatus, direction: ev.Direction, saga: Saga | None, settings: Settings
) -> Definition:
    """What is run: the saga as it is now, or what the journal knows of it.

    AWS steps go where they went, whatever the saga says by now, unless `settings` ask for another
    place; that is a change of the definition then.
    """
    if saga is None:
        if direction == "forward":
            raise DefinitionError(
                f"Run {run.run} goes forward, and that needs its saga.",
                hint="Give the saga's file with --target (or saga=...).",
            )
        return run.definition
    new = define(saga, settings.aws or run.definition.aws)
    if new.target != run.definition.target:
        raise DefinitionError(f"Run {run.run} is of {run.definition.target}, not of {new.target}.")
    return part_of(new, _names(run.definition) & _names(new)) if run.left_out else new


def require_own_steps(run: RunStatus, direction: ev.Direction, saga: Definition) -> None:
    """Who gives a saga means its steps: what it has not is undone by who asks for that by name."""
    waiting = run.steps if run.backward_only else [one.name for one in run.started() if not one.how]
    missing = sorted(_missing(run, saga).intersection(waiting))
    if missing and direction == "back":
        raise DefinitionError(
            f'Run {run.run} is to undo step "{missing[0]}", which is not in the saga as it is now.',
            hint="Put it back, or undo all that the journal says of the run with "
            f"`alma-pulumi rollback {run.word}`.",
        )


def require_own_parameters(journal: Journal, run: RunStatus, saga: Saga | None) -> None:
    """A saga whose function a command line has called must have been called as it was."""
    if saga is None or not saga.parameters:
        return
    try:
        before = parameters_of(journal, run)
    except AuthenticationError:
        before = {name: value for name, value in run.parameters.items() if is_whole(value)}
    for name, now in saga.parameters.items():
        if name in before and before[name] != now:
            raise changed(name, before[name], now)


def refuse_other_steps(last: RunStatus, whole: Definition, settings: Settings) -> None:
    """What was interrupted is gone on with as it was: it is not another selection's."""
    if last.direction != "forward" or (settings.selection.is_all and not last.left_out):
        return
    had = {step.name for step in last.definition.steps}
    if had != set(settings.selection.chosen(whole)):
        raise RefusedError(
            f"Run {last.run} of {last.definition.target} was interrupted, and is about other "
            f"steps: {', '.join(step.name for step in last.definition.steps)}.",
            hint=resume_hint(last),
        )


def with_gone(run: RunStatus, new: Definition) -> Definition:
    """With the steps that are no longer in the saga: they are undone as well."""
    missing = _missing(run, new)
    gone = (step for step in run.definition.steps if step.name in missing)
    return replace(new, steps=(*new.steps, *gone))


def bind_again(
    run: RunStatus,
    direction: ev.Direction,
    saga: Saga | None,
    defined: Definition,
    sessions: Sessions,
    before: Given,
    *,
    accept_changes: bool,
) -> tuple[BoundSaga, Mapping[str, Any] | None]:
    """Handlers for a run that exists, and the new definition if a changed one is accepted.

    `before` is what its saga was given, for the undo of what is not at hand any more.
    """
    started = frozenset(step.name for step in run.steps.values() if step.started is not None)
    if saga is None:
        prepared = bind_journaled(run.definition, sessions, before)
        require_undo(prepared, started if run.kind == "up" else frozenset(run.steps))
        return prepared, None
    prepared = bind_saga(saga, defined, sessions)
    new = prepared.definition
    missing = sorted(_missing(run, new) if direction == "back" else started - _names(new))
    if missing and direction == "back":
        old = bind_journaled(run.definition, sessions, before)
        require_undo(old, started.intersection(missing))
        adapters = {**prepared.adapters, **{name: old.adapters[name] for name in missing}}
        return replace(prepared, definition=run.definition, adapters=adapters), None
    if new.digest == run.definition.digest or direction == "back":
        return prepared, None
    if missing:
        raise DefinitionError(
            f'Step "{missing[0]}" has started in run {run.run} and is no longer in the saga.',
            hint=f"Put it back, or undo the run with `alma-pulumi rollback {run.word}`.",
        )
    if not accept_changes:
        raise DefinitionError(
            f"The saga has changed since run {run.run} was started: "
            f"{_changes(run.definition, new)}.",
            hint="Accept that with --accept-changes, or undo the run with rollback.",
        )
    return prepared, new.to_json()


def _names(definition: Definition) -> set[str]:
    return {step.name for step in definition.steps}


def _missing(run: RunStatus, new: Definition) -> set[str]:
    """The steps of the run that the saga has no more: gone, or of the same name over another thing.

    What is to be undone is what the run has made, whatever the file says by now.
    """
    now = {step.name: (step.kind, step.project) for step in new.steps}
    return {
        step.name
        for step in run.definition.steps
        if now.get(step.name) != (step.kind, step.project)
    }


def _changes(old: Definition, new: Definition) -> str:
    before = {step.name: step for step in old.steps}
    after = {step.name: step for step in new.steps}
    words = [f'step "{name}" is new' for name in after if name not in before]
    words += [f'step "{name}" is gone' for name in before if name not in after]
    words += [
        f'step "{name}" is different'
        for name in after
        if name in before and after[name] != before[name]
    ]
    if new.aws != old.aws:
        words.append(f"AWS steps go to {aws_target(new.aws)}, and went to {aws_target(old.aws)}")
    return ", ".join(words) or "its settings are different"


def aws_target(aws: LocalStack | None) -> str:
    """Where AWS steps go, in words."""
    return f"LocalStack at {aws.url} ({aws.region})" if aws else "AWS"
