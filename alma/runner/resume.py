"""Runs that exist: resume and rollback; in which direction, with which saga, and may it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.definition import Definition, LocalStack
from alma.core.result import Result, make_result
from alma.core.run import RunStatus, SagaState
from alma.core.selection import outside_of, part_of
from alma.core.validation import is_whole
from alma.errors import AuthenticationError, DefinitionError
from alma.journal import Journal
from alma.journal.known import (
    Given,
    given,
    known_of_earlier_runs,
    known_outputs,
    parameters_of,
)
from alma.journal.reading import load_run
from alma.runner.binding import (
    BoundSaga,
    SecretsLackingError,
    Sessions,
    bind_journaled,
    bind_saga,
    check,
    define,
    noted,
    open_sessions,
    require_undo,
)
from alma.runner.directory import require_directory
from alma.runner.leased_run import execute_run, result_or_raise
from alma.runner.required import require_known
from alma.runner.settings import Settings, actor
from alma.saga.making import changed
from alma.saga.saga import Saga


async def resume(
    run: str = "latest",
    *,
    saga: Saga | None = None,
    journal: str | Path | None = None,
    trust: bool = False,
    settings: Settings | None = None,
    accept_changes: bool = False,
) -> Result:
    """Go on with a run in the direction it had; a finished one is only reported.

    `saga` is needed to go forward, and to undo by functions. Raises as `Saga.execute` does, and
    DefinitionError when the saga is not the one that the run was started with, unless
    `accept_changes`.
    """
    return await go_on(
        run,
        None,
        saga,
        settings or Settings(journal=journal, trust=trust),
        accept_changes=accept_changes,
    )


async def rollback(
    run: str = "latest",
    *,
    saga: Saga | None = None,
    journal: str | Path | None = None,
    trust: bool = False,
    settings: Settings | None = None,
) -> Result:
    """Undo a run that was interrupted or FAILED, and verify it; raises as `resume` does."""
    return await go_on(
        run, "back", saga, settings or Settings(journal=journal, trust=trust), accept_changes=True
    )


async def go_on(
    reference: str,
    direction: ev.Direction | None,
    saga: Saga | None,
    settings: Settings,
    *,
    accept_changes: bool,
) -> Result:
    """Take a run up in a direction, or its own; a finished one is only reported."""
    with settings.open(write=False) as reader:
        run_id = reader.resolve(reference)
        run = load_run(reader, run_id)
        if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
            if direction == "back" and run.state is SagaState.COMPLETED:
                raise DefinitionError(
                    f"Run {run_id} is COMPLETED: there is nothing to roll back.",
                    hint="To take its stacks down, use `alma-pulumi destroy`.",
                )
            return _report(reader, run)
        before, locked = _given_before(reader, run)
        _require_own_parameters(reader, run, saga)
    wanted = choose_direction(run, direction)
    if saga is not None:
        require_directory(run, wanted)
    defined = _define_again(run, wanted, saga, settings)
    if saga is not None and direction is None:
        _require_own_steps(run, wanted, defined)
    both = _with_gone(run, defined) if wanted == "back" else defined
    async with open_sessions(both, settings, saga, last=run, follow=True) as sessions:
        try:
            prepared, accepted = bind_again(
                run, wanted, saga, defined, sessions, before, accept_changes=accept_changes
            )
        except SecretsLackingError as error:
            if locked is not None:
                raise locked from error
            raise
        prepared.redactor.learn(before.secrets)
        acting = _acting(run, wanted, prepared)
        await check(sessions, (prepared.adapters[name] for name in acting))
        with (
            settings.open(write=True) as journal,
            journal.acquire(run.definition.target, run_id, actor=actor()) as lease,
        ):
            run = load_run(journal, run_id)
            if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
                return _report(journal, run)
            _refuse_superseded(journal, run)
            known = known_outputs(journal, run)
            if run.kind == "destroy":
                known = known_of_earlier_runs(journal, run.definition)
            known.outputs.update(before.outputs)
            if locked is not None:
                known.locked.update(dict.fromkeys(outside_of(run.definition), locked))
            acting = _acting(run, wanted, prepared)
            require_known(prepared.definition, prepared.adapters, acting, known)
            journal.keys.prepare()
            resumed = ev.RunResumed(
                direction=wanted,
                actor=actor(),
                definition=accepted,
                sealed=prepared.given.and_before(before).seal(journal) or UNSET,
                notes=noted(sessions),
            )
            return await execute_run(run, journal, lease, prepared, settings, known, resumed)


def _report(journal: Journal, run: RunStatus) -> Result:
    """What a run that is over has ended with."""
    outputs = known_outputs(journal, run).outputs
    return result_or_raise(run, make_result(run, interrupted=False, live=outputs), {})


def _given_before(journal: Journal, run: RunStatus) -> tuple[Given, AuthenticationError | None]:
    """What the run's saga was given; and why that cannot be read, where it cannot."""
    try:
        return given(journal, run), None
    except AuthenticationError as error:
        return Given(), error


def _require_own_parameters(journal: Journal, run: RunStatus, saga: Saga | None) -> None:
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


def _acting(run: RunStatus, direction: ev.Direction, prepared: BoundSaga) -> list[str]:
    """The steps that may be done or undone from here on; of a restore none is given anything."""
    if run.kind == "restore":
        return []
    if direction == "back" and run.kind == "up":
        started = (step for step in run.started() if not step.how)
        return [step.name for step in started if step.name in prepared.adapters]
    return [step.name for step in prepared.definition.steps]


def _refuse_superseded(journal: Journal, run: RunStatus) -> None:
    """A later run has built on what this one left: it is no longer this one's to undo."""
    newest = journal.runs(limit=1, target=run.definition.target)[0].run
    if newest != run.run:
        raise DefinitionError(
            f"Run {run.run} is not the newest of {run.definition.target}: run {newest} came after "
            "it, and the stacks may be its own by now.",
            hint="Take the saga down with `alma-pulumi destroy`, or leave it as it is.",
        )


def choose_direction(run: RunStatus, asked: ev.Direction | None) -> ev.Direction:
    """The direction that was asked for, or the run's own.

    Raises DefinitionError past a pivot, and where the pivot itself is in doubt: it may have
    taken effect, and going forward finds out.
    """
    if asked == "back" and run.kind == "restore":
        raise DefinitionError(
            f"Run {run.run} is a restore, which is not rolled back but goes on.",
            hint=f"Go on with `alma-pulumi resume {run.word}`; to take back what it did, restore "
            f"with `--to {run.word}`.",
        )
    doubtful = (step for step in run.steps.values() if step.definition.pivot and step.open)
    if asked == "back" and run.direction == "forward" and any(doubtful):
        raise DefinitionError(
            f"Run {run.run} may be past its point of no return: its pivot is in doubt.",
            hint=f"Find out with `alma-pulumi resume {run.word}`; a pivot that fails is undone.",
        )
    if asked == "back" and run.past_pivot:
        raise DefinitionError(
            f"Run {run.run} is past its point of no return: it can only go forward.",
            hint=f"Mend the cause, then `alma-pulumi resume {run.word}`.",
        )
    return asked or run.direction


def _define_again(
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


def _require_own_steps(run: RunStatus, direction: ev.Direction, saga: Definition) -> None:
    """Who gives a saga means its steps: what it has not is undone by who asks for that by name."""
    waiting = run.steps if run.backward_only else [one.name for one in run.started() if not one.how]
    missing = sorted(_missing(run, saga).intersection(waiting))
    if missing and direction == "back":
        raise DefinitionError(
            f'Run {run.run} is to undo step "{missing[0]}", which is not in the saga as it is now.',
            hint="Put it back, or undo all that the journal says of the run with "
            f"`alma-pulumi rollback {run.word}`.",
        )


def _with_gone(run: RunStatus, new: Definition) -> Definition:
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
