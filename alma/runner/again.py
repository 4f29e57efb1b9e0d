"""Taking up a run that exists: in which direction, with which saga, and whether it may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alma.core import events as ev
from alma.core.definition import Definition, LocalStack
from alma.core.run import RunStatus
from alma.errors import DefinitionError
from alma.pulumi.engine import Engine
from alma.runner.binding import BoundSaga, check_bound, from_definition, from_saga
from alma.runner.settings import Settings
from alma.saga.saga import Saga


def choose_direction(run: RunStatus, asked: ev.Direction | None) -> ev.Direction:
    """The direction that was asked for, or the run's own.

    Raises DefinitionError past a pivot, and where the pivot itself is in doubt: it may have
    taken effect, and going forward finds out.
    """
    if asked == "back" and run.kind == "restore":
        raise DefinitionError(
            f"Run {run.run} is a restore, which is not rolled back but goes on.",
            hint=f"Go on with `alma-pulumi resume {run.run}`; to take back what it did, restore "
            f"with `--to {run.run}`.",
        )
    doubtful = (step for step in run.steps.values() if step.definition.pivot and step.open)
    if asked == "back" and run.direction == "forward" and any(doubtful):
        raise DefinitionError(
            f"Run {run.run} may be past its point of no return: its pivot is in doubt.",
            hint=f"Find out with `alma-pulumi resume {run.run}`; a pivot that fails is undone.",
        )
    if asked == "back" and run.past_pivot:
        raise DefinitionError(
            f"Run {run.run} is past its point of no return: it can only go forward.",
            hint=f"Mend the cause, then `alma-pulumi resume {run.run}`.",
        )
    return asked or run.direction


def prepare_again(
    run: RunStatus,
    direction: ev.Direction,
    saga: Saga | None,
    engine: Engine | None,
    settings: Settings,
    *,
    accept_changes: bool,
) -> tuple[BoundSaga, Mapping[str, Any] | None]:
    """Adapters for a run that exists, and the new definition if a changed one is accepted.

    AWS steps go where they went, whatever the saga says by now, unless `settings` ask for another
    place; that is a change of the definition then.
    """
    started = frozenset(step.name for step in run.steps.values() if step.started is not None)
    if saga is None:
        if direction == "forward":
            raise DefinitionError(
                f"Run {run.run} goes forward, and that needs its saga.",
                hint="Give the saga's file with --target (or saga=...).",
            )
        prepared = from_definition(run.plan, engine)
        check_bound(prepared, started if run.kind == "up" else frozenset(run.steps))
        return prepared, None
    prepared = from_saga(saga, engine, settings.modules, settings.aws or run.plan.aws)
    new = prepared.definition
    if new.target != run.plan.target:
        raise DefinitionError(f"Run {run.run} is of {run.plan.target}, not of {new.target}.")
    missing = sorted(
        set(run.steps if direction == "back" else started) - {s.name for s in new.steps}
    )
    if missing and direction == "back":
        old = from_definition(run.plan, engine)
        adapters = {**{name: old.adapters[name] for name in missing}, **prepared.adapters}
        both = BoundSaga(definition=run.plan, adapters=adapters, redactor=prepared.redactor)
        check_bound(both, started)
        return both, None
    if new.digest == run.plan.digest or direction == "back":
        return prepared, None
    if missing:
        raise DefinitionError(
            f'Step "{missing[0]}" has started in run {run.run} and is no longer in the saga.',
            hint=f"Put it back, or undo the run with `alma-pulumi rollback {run.run}`.",
        )
    if not accept_changes:
        raise DefinitionError(
            f"The saga has changed since run {run.run} was started: {_changes(run.plan, new)}.",
            hint="Accept that with --accept-changes, or undo the run with rollback.",
        )
    return prepared, new.to_json()


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
        words.append(f"AWS steps go to {place(new.aws)}, and went to {place(old.aws)}")
    return ", ".join(words) or "its settings are different"


def place(aws: LocalStack | None) -> str:
    """Where AWS steps go, in words."""
    return f"LocalStack at {aws.url} ({aws.region})" if aws else "AWS"
