"""Cases that once broke an invariant, as they were found and shrunk. Each shows one bug gone."""

from __future__ import annotations

import pytest

from alma.testing import Fault, JournalFault
from tests.faults.model.case import Case, Step, Turn
from tests.faults.model.play import play

FOUND = {
    "a destroy that repeats an action for its secret does not take that step for destroyed": Case(
        steps=(
            Step(kind="action", secret=True),
            Step(kind="action", after=(0,), consumes=True),
        ),
    ),
    "what a killed runner's CLI made in a stack that was there before is left, and named": Case(
        steps=(Step(size=3, before=-1),),
        turns=(
            Turn(engine=(Fault(project="m-s0", operation="up", effect="power", after=2),)),
            Turn(op="resume"),
        ),
    ),
    "a state that cannot be read right before a step's operation fails the step": Case(
        steps=(Step(),),
        turns=(
            Turn(engine=(Fault(project="m-s0", operation="inspect", effect="unreadable", nth=2),)),
        ),
    ),
    "what a lost provider made is named where all is left as it is": Case(
        steps=(Step(),),
        turns=(Turn(engine=(Fault(project="m-s0", operation="up", effect="leak"),)),),
        on_failure="stop",
    ),
    "what a lost provider made is named where the step is retained": Case(
        steps=(Step(undo="retain"),),
        turns=(Turn(engine=(Fault(project="m-s0", operation="up", effect="leak"),)),),
    ),
    "what a lost provider made in a stack that was there before is named": Case(
        steps=(Step(size=2, before=1),),
        turns=(Turn(engine=(Fault(project="m-s0", operation="up", effect="leak", after=1),)),),
    ),
    "a secret that two compensations need is asked for once": Case(
        steps=(
            Step(kind="action", secret=True),
            Step(kind="action", after=(0,), consumes=True),
            Step(kind="action", after=(0,), consumes=True),
        ),
    ),
    "what a CLI still makes when its run is abandoned is named": Case(
        steps=(Step(size=2),),
        turns=(
            Turn(engine=(Fault(project="m-s0", operation="up", effect="drain"),)),
            Turn(op="abandon"),
        ),
    ),
    "a delete that was cut off in a stack that is then restored is named": Case(
        steps=(Step(size=0, before=1),),
        turns=(Turn(engine=(Fault(project="m-s0", operation="up", effect="pending"),)),),
    ),
    "a state that cannot be read while an operation in doubt is settled stops no run": Case(
        steps=(Step(size=0, before=1),),
        turns=(
            Turn(engine=(Fault(project="m-s0", operation="up", effect="power"),)),
            Turn(engine=(Fault(project="m-s0", operation="inspect", effect="unreadable"),)),
        ),
        on_failure="stop",
    ),
    "what an undo needs of a step that was never brought up is known to nobody: it is named": Case(
        steps=(Step(), Step(kind="action", after=(0,), consumes=True)),
        turns=(
            Turn(only=(0,), alone=True, engine=(Fault(project="m-s0", operation="up"),)),
            Turn(op="destroy", journal=(JournalFault(nth=3, effect="crash_before"),)),
        ),
    ),
    "a run whose runner died before it began can be abandoned": Case(
        steps=(Step(),),
        turns=(
            Turn(journal=(JournalFault(nth=2, effect="crash_before"),)),
            Turn(op="abandon"),
        ),
    ),
}


@pytest.mark.parametrize("title", FOUND)
def test_found(title: str) -> None:
    assert play(FOUND[title]) == []
