"""What the runs of a target have left there, and what of it the saga has not made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct

from alma.core.definition import StepDefinition
from alma.core.events import IMPORTED, Leftover
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.journal.reading import PROOFS, is_the_end, load_run, proven_gone, runs_of
from alma.journal.standing import ITS_OWN, touched

_AS_BEFORE = (*ITS_OWN, "restored")
"""An older run knows what there was: a restore has put that back."""


class Left(Struct, frozen=True, kw_only=True):
    """A step that the runs of a target have left something of, as its newest run knows it.

    `waits` are all that it has waited for: a run that left steps out does not say it of those.
    """

    run: RunStatus
    step: StepDefinition
    waits: frozenset[str]


def what_stands(journal: Journal, target: str) -> dict[str, Left]:
    """By name, in the order of the newest run that has each."""
    newest: dict[str, tuple[RunStatus, StepStatus]] = {}
    waits: dict[str, set[str]] = {}
    whole: set[str] = set()
    for run in runs_of(journal, target):
        for name, step in run.steps.items():
            if name not in newest and touched(run, step, _AS_BEFORE):
                newest[name] = run, step
            if name not in whole:
                own = step.definition
                waits.setdefault(name, set()).update(own.dependencies, own.outside or ())
        whole |= set(run.steps) if run.is_whole else set()
    return {
        name: Left(run=run, step=step.definition, waits=frozenset(waits[name]))
        for name, (run, step) in newest.items()
        if step.how not in PROOFS
    }


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
            if (
                step.how in PROOFS
                and not undone
                and not (run.kind == "up" and step.how == "nothing")
            ):
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
