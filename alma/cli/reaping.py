"""One saga after the other that has expired is taken down; what fails holds up no other one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from msgspec.structs import replace

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.cli.progress import run_shown, tell
from alma.cli.reporting import write_reports
from alma.core.result import Result
from alma.core.run import SagaState
from alma.errors import AlmaError, DefinitionError, JournalError, RunnerBusyError
from alma.journal.left import still_left
from alma.reports import text
from alma.reports.reaped import Reaped
from alma.runner.deployed import is_of, known_parameters
from alma.runner.directory import elsewhere, working_directory
from alma.runner.reap import Due, NotDueError, find_due, reap
from alma.runner.settings import Settings
from alma.saga.given_values import Arguments
from alma.saga.target import LoadedSaga, Target, load_saga

Opened = Sequence[tuple[str, Target]]
"""TARGETs, as they are written from anywhere, and what they mean."""

_LEFT, _INTERRUPTED = 10, 8
_TURNS = 4
"""A rollback, the destroy of what was there before it, and what may come in between."""


def reap_all(
    shared: Invocation, found: Sequence[Due], opened: Opened, *, remove: bool
) -> tuple[list[Reaped], int]:
    """Each in turn, and the exit code of all; after an interrupt no other one is begun."""
    done: list[Reaped] = []
    reports = shared.reports
    for due in found:
        one = Reaped(due=due, runs=[])
        done.append(one)
        try:
            interrupted = _reap(shared, one, opened, reports, remove=remove)
        except (RunnerBusyError, NotDueError) as error:
            one.outcome, one.why = "skipped", error.message
        except JournalError:
            raise  # nobody may go on then
        except AlmaError as error:
            one.outcome, one.why, one.hint = "left", error.message, error.hint
        else:
            if interrupted:
                return done, _INTERRUPTED
    return done, _LEFT if any(one.outcome == "left" for one in done) else 0


def _reap(
    shared: Invocation,
    one: Reaped,
    opened: Opened,
    reports: tuple[Path, ...],
    *,
    remove: bool,
) -> bool:
    """Do all that is to be done to one; whether that was interrupted."""
    settings = Settings(journal=shared.journal, trust=shared.trust)
    for _ in range(_TURNS):
        with settings.open(write=False) as journal:
            due = find_due(journal, one.due.target)
        if due is None:
            break
        if due.way is None:
            one.outcome, one.why, one.hint = "skipped" if due.busy else "left", due.why, due.hint
            return False
        result = _act(shared, due, opened, settings, remove=remove)
        one.runs = list(dict.fromkeys((*one.runs, result.run_id)))
        shared.reports = tuple(_of_run(path, result.run_id) for path in reports)
        write_reports(shared, result.run_id)
        one.outcome = "rolled back" if due.way == "rollback" else "destroyed"
        if result.interrupted or result.state is SagaState.FAILED:
            one.outcome, one.why, one.left = "left", _why(result), result.leftovers
            return result.interrupted
        _unproven(one, due, settings)
    else:
        one.outcome, one.why = "left", "it is not gone after all that was to be done: look at it"
    one.outcome = one.outcome or "skipped"
    if not one.runs:
        one.why = "somebody was quicker"
    return False


def _act(
    shared: Invocation, due: Due, opened: Opened, settings: Settings, *, remove: bool
) -> Result:
    there = elsewhere(due.newest) or working_directory()
    with chdir(there):
        loaded = _saga_of(due, opened, settings)
    given = replace(
        settings,
        origin=loaded.origin if loaded else "",
        modules=loaded.modules if loaded else (),
    )
    say(f"{text.name(due.target)} expired at {text.moment(due.expired_at)}.", err=shared.json)
    result, ended = run_shown(
        shared,
        lambda reporter: reap(
            due,
            loaded.saga if loaded else None,
            replace(given, reporter=reporter),
            remove=remove,
        ),
        directory=there,
    )
    tell(shared, result, ended)
    return result


def _saga_of(due: Due, opened: Opened, settings: Settings) -> LoadedSaga | None:
    """As it was deployed; None where its file cannot be had: then the journal alone must do."""
    with settings.open(write=False) as journal:
        known, _ = known_parameters(journal, due.run)
    said = Arguments(
        known=known,
        stack=due.run.overrides.get("stack", ""),
        organization=due.run.overrides.get("organization", ""),
    )
    for text_, target in opened:
        if is_of(target, due.run):
            return _require_same(load_saga(text_, said, wanted=due.target), due)
    if not due.run.origin:
        return None
    try:
        return _require_same(load_saga(due.run.origin, said, wanted=due.target), due)
    except DefinitionError as error:
        say(f"note: {text.plain(error.message)} It is taken down by the journal alone.", err=True)
        return None


def _require_same(loaded: LoadedSaga, due: Due) -> LoadedSaga:
    if loaded.saga.target != due.target:
        raise DefinitionError(f"{loaded.origin} has {loaded.saga.target}, not {due.target}.")
    return loaded


def _unproven(one: Reaped, due: Due, settings: Settings) -> None:
    """What a run had named as left, and no state can show to be gone."""
    if due.way == "rollback":
        return
    with settings.open(write=False) as journal:
        one.left = still_left(journal, due.target)
    if one.left:
        one.outcome, one.why = "left", "an earlier run had left it, and no state shows it"


def _why(result: Result) -> str:
    if result.interrupted:
        return f"run {result.run_id} was interrupted"
    return result.error.message if result.error else result.status.reason


def _of_run(path: Path, run: str) -> Path:
    """A report for each run: its id goes before the end of the file's name (not of a pipe's)."""
    if path.exists() and not path.is_file():
        return path
    return path.with_name(f"{path.stem}-{run}{path.suffix}")
