"""When what the runs of a target have left expires, and what of it was there before all of them.

The newest run that was not undone says the first: what a run says of it is undone with the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct

from alma.core.definition import StepDefinition
from alma.core.events import IMPORTED, Leftover
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.journal.reading import load_run, proven_gone


class Expiring(Struct, frozen=True, kw_only=True):
    """What is there of a target: `run` has said when it expires, `newest` came last."""

    run: RunStatus
    newest: RunStatus


def runs_of(journal: Journal, target: str) -> Iterator[RunStatus]:
    """The runs of a target, newest first, back to the last that has taken all of it down."""
    for row in journal.runs(limit=None, target=target):
        run = load_run(journal, row.run)
        yield run
        if is_the_end(run):
            return


def is_the_end(run: RunStatus) -> bool:
    """Whether nothing of its target is there after it."""
    return run.kind == "destroy" and run.state is SagaState.COMPLETED and run.is_whole


def expiring(journal: Journal, target: str) -> Expiring | None:
    """None where nothing is there, where it stays, and where it is a part of another saga's run."""
    newest: RunStatus | None = None
    for run in runs_of(journal, target):
        newest = newest or run
        if is_the_end(run):
            return None
        if run.kind == "up" and run.state is not SagaState.COMPENSATED:
            if run.parent is not None or run.expires_at is None:
                return None
            return Expiring(run=run, newest=newest)
    return None


# -- what is there, by the journal -----------------------------------------------------------------


class Standing(Struct, frozen=True, kw_only=True):
    """A step that the runs of a target have left something of, as its newest run knows it.

    `waits` are all that it has waited for: a run that left steps out does not say it of those.
    """

    run: RunStatus
    step: StepDefinition
    waits: frozenset[str]


def what_stands(journal: Journal, target: str) -> dict[str, Standing]:
    """By name, in the order of the newest run that has each."""
    newest: dict[str, tuple[RunStatus, StepStatus]] = {}
    waits: dict[str, set[str]] = {}
    whole: set[str] = set()
    for run in runs_of(journal, target):
        for name, step in run.steps.items():
            if name not in newest and _touched(run, step):
                newest[name] = run, step
            if name not in whole:
                own = step.definition
                waits.setdefault(name, set()).update(own.dependencies, own.outside or ())
        whole |= set(run.steps) if run.is_whole else set()
    return {
        name: Standing(run=run, step=step.definition, waits=frozenset(waits[name]))
        for name, (run, step) in newest.items()
        if not _is_gone(step)
    }


def _touched(run: RunStatus, step: StepStatus) -> bool:
    """Not where its undo has left it as it had been before: an older run knows that.

    What a call has undone is what its own run has done: an older one may have made another.
    """
    if run.kind == "up" and step.how in ("nothing", "unchanged", "restored", "undone", "called"):
        return False
    return bool(step.started or step.operations or step.unchanged_since)


def _is_gone(step: StepStatus) -> bool:
    return step.how in ("destroyed", "nothing", "called")


class Foreign(Struct, frozen=True, kw_only=True):
    """A step that has something which the saga has not made: what, and which run has found it."""

    target: str
    step: str
    what: str
    run: str


def foreign(journal: Journal, target: str) -> list[Foreign]:
    """What was there before the saga, and what it has imported, unless somebody has taken it in.

    Also of the sagas that are steps of it.
    """
    found: dict[str, Foreign] = {}
    made: set[str] = set()
    inner: dict[str, None] = {}
    inner_taken = False
    for run in reversed(list(runs_of(journal, target))):
        undone = run.kind == "up" and run.state is SagaState.COMPENSATED
        for name, step in run.steps.items():
            if _is_gone(step) and not undone and not (run.kind == "up" and step.how == "nothing"):
                made.discard(name)
                found.pop(name, None)
            if run.kind != "up" or undone:
                continue
            if what := _found_by(step, made):
                place = Foreign(target=target, step=name, what=what, run=run.run)
                found.setdefault(name, place)
            if step.started is not None:
                made.add(name)
            inner |= {child.target: None for child in step.children.values()}
        if run.expiry is not None and run.expiry.existing and not undone:
            found.clear()
            inner_taken = True
    of = () if inner_taken else (each for each in inner if each != target)
    return [*found.values(), *(one for each in of for one in foreign(journal, each))]


def _found_by(step: StepStatus, made: set[str]) -> str:
    first = step.started if step.name not in made else None
    if first is not None and first.held:
        return f"{counted(first.held)} from before the saga"
    undoes = step.definition.compensation not in ("none", "nothing")
    if first is not None and first.existed and undoes and not step.definition.has_state:
        return "what was there before the saga"
    imported = [one for one in step.resources if one.op == IMPORTED]
    return f"{counted(len(imported))} that it has imported" if imported else ""


def counted(resources: int) -> str:
    """`1 resource`, `2 resources`."""
    return f"{resources} resource{'' if resources == 1 else 's'}"


def made_here(journal: Journal, target: str) -> set[str]:
    """The steps of which a run has looked at what was there before the first of them."""
    return {
        name
        for run in runs_of(journal, target)
        if run.kind == "up" and run.state is not SagaState.COMPENSATED
        for name, step in run.steps.items()
        if step.started is not None
    }


def still_left(journal: Journal, target: str) -> tuple[Leftover, ...]:
    """What runs of the target have named as left, and no later one has seen to be gone.

    Of a saga that is a step it is what its own runs say.
    """
    found: dict[Leftover, None] = {}
    inner: dict[str, None] = {}
    with suppress(RunNotFoundError):
        for run in _with_the_end(journal, target):
            gone = proven_gone(journal, run) if run.leftovers else {}
            sagas = {step.name for step in run.steps.values() if step.children}
            named = (left for left in run.leftovers if left.step not in sagas)
            found |= dict.fromkeys(left for left in named if left not in gone)
            for step in run.steps.values():
                inner |= dict.fromkeys(child.target for child in step.children.values())
    within = (still_left(journal, each) for each in inner if each != target)
    return (*found, *(left for each in within for left in each))


def _with_the_end(journal: Journal, target: str) -> Iterator[RunStatus]:
    """The runs that the last one which has taken all down was about, with it."""
    for number, row in enumerate(journal.runs(limit=None, target=target)):
        run = load_run(journal, row.run)
        if number and is_the_end(run):
            return
        yield run
