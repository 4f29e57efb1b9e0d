"""Taking down what has expired: which runs that is, by which way, and the run that does it.

Only what is over is touched, by the journal's word. What somebody is at work on is left alone: a
run under way is never cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, Literal

from msgspec import UNSET, Struct
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.definition import Definition, StepDefinition
from alma.core.result import Result
from alma.core.run import RunStatus, SagaState
from alma.core.selection import part_of
from alma.core.state import fold
from alma.errors import RefusedError
from alma.journal import Journal
from alma.journal.expiry import Expiring, expiring
from alma.journal.journal import utc_now
from alma.journal.known import Given, given, known_of_earlier_runs, secrets_of_earlier_runs
from alma.journal.left import Left, foreign, what_stands
from alma.journal.reading import newest_run
from alma.runner.again import with_gone
from alma.runner.binding import (
    BoundSaga,
    Sessions,
    bind_journaled,
    bind_saga,
    check,
    define,
    noted,
    open_sessions,
    require_undo,
)
from alma.runner.directory import followed, require_directory
from alma.runner.lease import take as lease_of
from alma.runner.leased_run import execute_run
from alma.runner.required import require_known
from alma.runner.resume import go_on
from alma.runner.settings import Settings, new_run_id
from alma.runner.start import refuse_unfinished
from alma.saga.saga import Saga

Way = Literal["rollback", "resume", "destroy"]

_GIVE: Final = "Give the file that has it: `alma-pulumi reap TARGET`, or `destroy` it by that."


class Due(Struct, frozen=True, kw_only=True):
    """A target of which the time is over. `way` is what is to be done next; None: `why` nothing is.

    `busy`: somebody is at work on it.
    """

    target: str
    run: RunStatus
    newest: RunStatus
    steps: tuple[str, ...]
    way: Way | None = None
    why: str = ""
    hint: str = ""
    busy: bool = False

    @property
    def expired_at(self) -> datetime:
        """When that was."""
        assert self.run.expires_at is not None  # noqa: S101 - else it would not be due
        return self.run.expires_at


def all_due(journal: Journal) -> Iterator[Due]:
    """Of each target in the journal, the one that was run last first."""
    for target in dict.fromkeys(row.target for row in journal.runs(limit=None)):
        if (one := find_due(journal, target)) is not None:
            yield one


def find_due(journal: Journal, target: str) -> Due | None:
    """None where nothing of the target has expired, or nothing is there."""
    found = expiring(journal, target)
    if found is None or found.run.expires_at is None or found.run.expires_at > journal.now():
        return None
    due = Due(
        target=target,
        run=found.run,
        newest=found.newest,
        steps=tuple(what_stands(journal, target)),
    )
    if journal.is_held(target):
        return replace(due, busy=True, why="somebody is at work on it")
    if not due.steps and found.newest.state.is_final and found.run.state is SagaState.COMPLETED:
        return None
    way, why, hint = _way(journal, found)
    if (newest := found.newest).served is not None and way not in ("rollback", None):
        # A workflow that is lost looks the same from here: it is told of, until somebody resumes.
        way, why = None, f"run {newest.run}, which Temporal drives, has not ended"
        hint = f"`alma-pulumi resume {newest.word}` has it go on; then it is taken down."
    return replace(due, way=way, why=why, hint=hint)


def _way(journal: Journal, found: Expiring) -> tuple[Way | None, str, str]:
    run, newest = found.run, found.newest
    over = newest.state.is_final
    if newest.kind == "restore" and not over:
        hint = f"`alma-pulumi resume {newest.word}`, or `abandon` it; then it is taken down."
        return None, f"its restore {newest.run} was interrupted", hint
    if newest.kind == "destroy" and not over:
        return "resume", "", ""
    undoable = newest.run == run.run and run.state is not SagaState.COMPLETED
    if undoable and not run.past_pivot:
        stuck = [step for step in run.started() if step.state is not SagaState.COMPENSATED]
        if over and stuck and all(step.skipped for step in stuck):
            hint = f"`alma-pulumi status {run.word}` names it; --ttl none of `extend` lifts this."
            return None, f"an operator has skipped what is left of run {run.run}", hint
        return "rollback", "", ""
    if undoable and not over:
        hint = f"`alma-pulumi resume {run.word}`, or `abandon` it; then it is taken down."
        return None, f"run {run.run} is past its point of no return, and was interrupted", hint
    if there := foreign(journal, found.run.definition.target):
        one = there[0]
        words = f'step "{one.step}" of {one.target} has {one.what} (run {one.run})'
        hint = "`alma-pulumi destroy` takes it down all the same; `up --ttl TIME` with "
        return None, words, f"{hint}--accept-existing says that it may go."
    return "destroy", "", ""


async def reap(due: Due, saga: Saga | None, settings: Settings, *, remove: bool = False) -> Result:
    """Do what is to be done next; raises as `alma.destroy` and `alma.rollback` do.

    A run that did not complete is rolled back, for it alone knows what it has made; what was there
    before it then expires when it did before. One that Temporal drives is rolled back there, which
    is refused as busy while its workflow runs: only Temporal knows whether it was lost.
    """

    def still(journal: Journal) -> None:
        _require_still_due(journal, due)

    if due.way == "rollback":
        return await go_on(due.run.run, "back", saga, settings, accept_changes=True, still=still)
    if due.way == "resume":
        return await go_on(due.newest.run, None, saga, settings, accept_changes=False, still=still)
    return await _take_down(due, saga, settings, remove=remove)


async def _take_down(due: Due, saga: Saga | None, settings: Settings, *, remove: bool) -> Result:
    """A destroy of all that the journal says is there, by its saga as far as that still has it."""
    target = due.target
    with settings.open(write=False) as reader:
        last = newest_run(reader, target) or due.run
        standing = what_stands(reader, target)
        before = _given(reader, standing)
    aws = last.definition.aws
    settings = replace(settings, aws=aws)
    defined = define(saga, aws) if saga is not None else None
    whole = _whole(due.run.definition, standing, defined)
    part = part_of(whole, standing)
    own = _own(part, defined)
    if own:
        require_directory(last, "back")
    async with open_sessions(part, settings, saga, last=last, follow=True, write=True) as sessions:
        prepared = _bind(part, own, saga, sessions, before)
        require_undo(prepared, [name for name in standing if name not in own], hint=_GIVE)
        facts = await check(sessions, prepared.adapters.values())
        with settings.open(write=True) as journal:
            run_id = new_run_id(utc_now())
            definition = prepared.definition
            with lease_of(journal, target, run_id) as lease:
                refuse_unfinished(journal, definition)
                _require_still_due(journal, due)
                if what_stands(journal, target).keys() != standing.keys():
                    # Of what it has not seen it would be the end as well.
                    raise NotDueError(f"{target} has changed meanwhile: nothing was taken down.")
                known = known_of_earlier_runs(journal, definition)
                require_known(definition, prepared.adapters, definition.order, known)
                journal.keys.prepare()
                prepared.redactor.learn(secrets_of_earlier_runs(journal, target))
                created = ev.RunCreated(
                    saga=definition.saga,
                    stack=definition.stack,
                    kind="destroy",
                    definition=definition.to_json(),
                    digest=definition.digest,
                    backend=facts.get("backend", ""),
                    origin=due.run.origin,
                    remove_records=remove,
                    directory=followed(last),
                    versions={**settings.versions, **facts},
                    sealed=prepared.given.seal(journal) or UNSET,
                    parameters=due.run.parameters or UNSET,
                    overrides=due.run.overrides or UNSET,
                    notes=noted(sessions),
                    notify=_told(due, saga) or UNSET,
                    reaps=due.run.run,
                )
                run = fold([journal.create_run(run_id, created, lease)])
                return await execute_run(run, journal, lease, prepared, settings, known)


def _told(due: Due, saga: Saga | None) -> tuple[ev.Notifier, ...]:
    """Who is told of it: as the saga says, else as the run has said whose time is over."""
    return due.run.notify if saga is None else tuple(one for one, _ in saga.notify)


def _given(journal: Journal, standing: Mapping[str, Left]) -> Given:
    """What the runs that have made it were given, of each step by its newest."""
    merged = Given()
    opened: dict[str, Given] = {}
    for name, one in standing.items():
        if one.run.run not in opened:
            opened[one.run.run] = given(journal, one.run)
            merged.secrets.extend(opened[one.run.run].secrets)
            merged.parameters.update(opened[one.run.run].parameters)
        if name in opened[one.run.run].settings:
            merged.settings[name] = opened[one.run.run].settings[name]
    return merged


def _whole(last: Definition, standing: Mapping[str, Left], now: Definition | None) -> Definition:
    """All steps that are there, and those of the saga as it is now, each waiting as it did."""
    known = {*standing, *((step.name for step in now.steps) if now else ())}
    steps = tuple(
        replace(
            one.step,
            dependencies=tuple(sorted(one.waits & known)),
            outside=UNSET,
        )
        for one in standing.values()
    )
    journaled = replace(last, steps=steps)
    if now is None:
        return journaled
    return with_gone(RunStatus(accepted=journaled), now)


def _own(part: Definition, now: Definition | None) -> set[str]:
    """The steps that are done by the saga as it is now: what has its name and is another is not."""
    if now is None:
        return set()
    mine = {step.name: (step.kind, step.project) for step in now.steps}
    return {step.name for step in part.steps if mine.get(step.name) == (step.kind, step.project)}


def _bind(
    part: Definition, own: set[str], saga: Saga | None, sessions: Sessions, before: Given
) -> BoundSaga:
    journaled = replace(bind_journaled(part, sessions, before), given=before)
    if saga is None or not own:
        return journaled
    bound = bind_saga(saga, part_of(part, own), sessions)
    waits: dict[str, StepDefinition] = {step.name: step for step in part.steps}
    mine = {
        step.name: replace(step, dependencies=waits[step.name].dependencies)
        for step in bound.definition.steps
    }
    bound.redactor.learn(before.secrets)
    return replace(
        bound,
        definition=replace(part, steps=tuple(mine.get(s.name, s) for s in part.steps)),
        adapters={**journaled.adapters, **bound.adapters},
        given=Given(
            secrets=[*before.secrets, *bound.given.secrets],
            settings={**before.settings, **bound.given.settings},
            parameters=before.parameters,
        ),
    )


class NotDueError(RefusedError):
    """What had expired does not any more, or is gone: somebody was quicker."""


def _require_still_due(journal: Journal, due: Due) -> None:
    now = expiring(journal, due.target)
    until = now.run.expires_at if now is not None and now.run.run == due.run.run else None
    if until is None or until > journal.now():
        raise NotDueError(f"{due.target} does not expire any more: nothing was taken down.")
