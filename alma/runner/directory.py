"""Where a run was started: what its functions say of files is meant from there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from alma.core.definition import StepDefinition
from alma.core.events import Direction
from alma.core.run import RunStatus
from alma.errors import AlmaError, DefinitionError, RefusedError
from alma.journal.address import DEFAULT, chosen
from alma.runner.settings import Settings
from alma.saga.saga import Saga
from alma.steps.registry import rebind


def working_directory() -> str:
    """Where this process is; DefinitionError when that directory is gone."""
    try:
        return str(Path.cwd())
    except OSError as error:
        raise DefinitionError(
            "The working directory does not exist any more.", hint="Change to one that does."
        ) from error


def elsewhere(run: RunStatus) -> str:
    """The directory that the run was started in, where that is another than this one.

    Empty where it is not known, and where it is gone: then no file of it is meant any more.
    """
    here, there = working_directory(), run.directory
    if not there or not Path(there).is_dir() or Path(there).resolve() == Path(here).resolve():
        return ""
    return there


def followed(last: RunStatus | None) -> str:
    """The directory of what goes on with the stacks of a run: that run's, or this one.

    What their providers, and a backend's URL, say of files is meant from there.
    """
    return (elsewhere(last) if last is not None else "") or working_directory()


def has_functions(run: RunStatus) -> bool:
    """Whether the way back needs a function, or a secret, that is only in the saga's file.

    What the journal keeps sealed is none: whoever goes back opens it, or is refused.
    """
    return any(
        rebind(_with_its_secrets(run, step.definition)).lacks
        for step in run.steps.values()
        if step.started is not None or run.backward_only
    )


def _with_its_secrets(run: RunStatus, step: StepDefinition) -> StepDefinition:
    if not run.sealed or not step.settings.get("secrets"):
        return step
    return replace(step, settings={**step.settings, "secrets": []})


def require_directory(run: RunStatus, direction: Direction) -> None:
    """Refuse to call functions in another directory than the run was started in."""
    there = elsewhere(run)
    if there and (direction == "forward" or has_functions(run)):
        raise DefinitionError(
            f"Run {run.run} was started in {there}: its functions may mean files there.",
            hint=f"Change to that directory first (this one is {working_directory()}).",
        )


def refuse_another_journal(saga: Saga, settings: Settings) -> None:
    """Refuse where the saga's runs are in the journal beside its file, and not in the one here.

    From another directory everything would be made a second time, and a destroy would find
    nothing to take down.
    """
    if chosen(settings.journal) is not None or not saga.file:
        return
    beside = Path(saga.file).resolve().parent / DEFAULT
    target = saga.target
    if beside == DEFAULT.resolve() or not beside.is_file():
        return
    with suppress(AlmaError), settings.open_journal(DEFAULT, write=False) as reader:
        if reader.runs(limit=1, target=target):
            return
    runs = []
    with suppress(AlmaError), settings.open_journal(beside, write=False) as reader:
        runs = list(reader.runs(limit=1, target=target))
    if runs:
        raise RefusedError(
            f"The runs of {target} are in {beside}, and none is in {DEFAULT} here.",
            hint=f"Change to {beside.parent.parent}, or say which journal it is: --journal PATH.",
        )
