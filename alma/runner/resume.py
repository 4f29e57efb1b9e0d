"""Runs that exist: resume and rollback; in which direction, with which saga, and may it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.redaction import shortened
from alma.core.result import Result, make_result
from alma.core.run import RunStatus, SagaState
from alma.core.selection import outside_of
from alma.errors import AuthenticationError, DefinitionError
from alma.journal import Journal
from alma.journal.known import (
    Given,
    given,
    known_of_earlier_runs,
    known_outputs,
)
from alma.journal.lease import Lease
from alma.journal.reading import load_run
from alma.runner.again import (
    bind_again,
    define_again,
    require_own_parameters,
    require_own_steps,
    with_gone,
)
from alma.runner.binding import (
    BoundSaga,
    SecretsLackingError,
    check,
    noted,
    open_sessions,
)
from alma.runner.directory import require_directory
from alma.runner.expiring import said
from alma.runner.hosts import declare_gone
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import Drive, execute_run, result_or_raise
from alma.runner.required import require_known
from alma.runner.settings import Settings, actor
from alma.saga.saga import Saga


async def resume(
    run: str = "latest",
    *,
    saga: Saga | None = None,
    journal: str | Path | None = None,
    trust: bool = False,
    host_is_gone: str = "",
    settings: Settings | None = None,
    accept_changes: bool = False,
) -> Result:
    """Go on with a run in the direction it had; a finished one is only reported.

    `saga` is needed to go forward, and to undo by functions. Raises as `Saga.execute` does, and
    DefinitionError when the saga is not the one that the run was started with, unless
    `accept_changes`. `host_is_gone` is the reason to say, for the journal, that the hosts on which
    the run was cut off do not exist any more, where that cannot be seen.
    """
    return await go_on(
        run,
        None,
        saga,
        settings or Settings(journal=journal, trust=trust, host_is_gone=host_is_gone),
        accept_changes=accept_changes,
    )


async def rollback(
    run: str = "latest",
    *,
    saga: Saga | None = None,
    journal: str | Path | None = None,
    trust: bool = False,
    host_is_gone: str = "",
    settings: Settings | None = None,
) -> Result:
    """Undo a run that was interrupted or FAILED, and verify it; raises as `resume` does."""
    return await go_on(
        run,
        "back",
        saga,
        settings or Settings(journal=journal, trust=trust, host_is_gone=host_is_gone),
        accept_changes=True,
    )


async def go_on(
    reference: str,
    direction: ev.Direction | None,
    saga: Saga | None,
    settings: Settings,
    *,
    accept_changes: bool,
    still: Callable[[Journal], None] = lambda _: None,
) -> Result:
    """Take a run up in a direction, or its own; a finished one is only reported.

    `still` refuses where what was decided on before is not so any more: nobody else can change it
    by then.
    """
    with settings.open(write=False) as reader:
        run = load_run(reader, reader.resolve(reference))
        still(reader)
        here = run.workflow is None or _is_over(run, direction, settings)
        if not here:  # its workers have the saga, and are not told with what this one was made
            require_own_parameters(reader, run, saga)
    if here:
        return await go_on_by(
            reference, direction, saga, settings, accept_changes=accept_changes, still=still
        )
    from alma.runner.temporal.client import take_up  # Temporal's SDK: only where it drives

    return await take_up(run, direction, settings, accept_changes=accept_changes)


async def go_on_by(
    reference: str,
    direction: ev.Direction | None,
    saga: Saga | None,
    settings: Settings,
    *,
    accept_changes: bool,
    still: Callable[[Journal], None] = lambda _: None,
    drive: Drive = execute_run,
) -> Result:
    """The same, where this process takes it up; `drive` has it go on."""
    with settings.open(write=False) as reader:
        run_id = reader.resolve(reference)
        run = load_run(reader, run_id)
        if _is_over(run, direction, settings):
            if direction == "back" and run.state is SagaState.COMPLETED:
                raise DefinitionError(
                    f"Run {run_id} is COMPLETED: there is nothing to roll back.",
                    hint="To take its stacks down, use `alma-pulumi destroy`.",
                )
            return _report(reader, run)
        before, locked = _given_before(reader, run)
        require_own_parameters(reader, run, saga)
    wanted = choose_direction(run, direction)
    if saga is not None:
        require_directory(run, wanted)
    defined = define_again(run, wanted, saga, settings)
    if saga is not None and direction is None:
        require_own_steps(run, wanted, defined)
    both = with_gone(run, defined) if wanted == "back" else defined
    settings = replace(settings, accept_changes=accept_changes, repairs=run.repairs)
    async with open_sessions(both, settings, saga, last=run, follow=True, write=True) as sessions:
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
        gates = prepared.gates.values() if wanted == "forward" else ()
        await check(sessions, (prepared.adapters[name] for name in acting), gates)
        with (
            settings.open(write=True) as journal,
            _lease(journal, run, drive) as lease,
        ):
            still(journal)
            run = load_run(journal, run_id)
            if _is_over(run, direction, settings):
                return _report(journal, run)
            _refuse_superseded(journal, run)
            clean = prepared.redactor
            # Who drives it on many hosts has each operation settled where it was.
            shared = journal.is_shared and drive is execute_run
            gone = declare_gone(run, clean(settings.host_is_gone), shared=shared)
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
                reason=shortened(clean(settings.reason.strip())) or UNSET,
                expiry=said(journal, settings) or UNSET,
                notify=UNSET if saga is None else tuple(one for one, _ in saga.notify),
            )
            return await drive(run, journal, lease, prepared, settings, known, resumed, gone)


def _lease(journal: Journal, run: RunStatus, drive: Drive) -> Lease:
    """A workflow that is started again for its run takes the lease over."""
    target = run.definition.target
    if drive is execute_run:
        return lease_of(journal, target, run.run)
    return journal.acquire(target, run.run, actor=actor())


def _is_over(run: RunStatus, direction: ev.Direction | None, settings: Settings) -> bool:
    """Whether nothing is to be done. One that has completed is undone by its parent alone."""
    if run.state is SagaState.COMPLETED and direction == "back":
        return run.parent is None or run.parent != settings.parent
    return run.state in (SagaState.COMPLETED, SagaState.COMPENSATED)


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
