"""The rows of the fault matrix that a model can show, each with the end that it requires.

Every case is also held against all invariants, and taken to its end without faults.
"""

from __future__ import annotations

from typing import Any

import pytest

from alma.testing import Fault, JournalFault
from tests.faults.model.case import ActionFault, Case, Step, Turn
from tests.faults.model.play import perform

THREE = (Step(size=2), Step(size=2, after=(0,), consumes=True), Step(size=2, after=(1,)))
ACTIONS = (Step(kind="action"), Step(kind="action", after=(0,), consumes=True, secret=True))


def _turn(*engine: Fault, **more: Any) -> Turn:
    return Turn(engine=engine, **more)


def _fault(step: int, operation: Any, effect: Any, **more: Any) -> Fault:
    return Fault(project=f"m-s{step}", operation=operation, effect=effect, **more)


def _at(nth: int, effect: Any, **more: Any) -> JournalFault:
    return JournalFault(nth=nth, effect=effect, **more)


FAILS = _fault(2, "up", "fail", after=1)
AGAIN = Turn(op="resume")
ROWS: dict[str, tuple[tuple[Turn, ...], list[str]]] = {
    "01 killed before the intent": (
        (Turn(journal=(_at(4, "crash_before"),)), AGAIN),
        ["died", "COMPLETED"],
    ),
    "02 killed after the intent": (
        (Turn(journal=(_at(4, "crash_after"),)), AGAIN),
        ["died", "COMPLETED"],
    ),
    "03 killed during up, the CLI drains": (
        (_turn(_fault(1, "up", "drain")), AGAIN),
        ["died", "COMPLETED"],
    ),
    "03 killed with its CLI": (
        (_turn(_fault(1, "up", "power", after=1)), AGAIN),
        ["died", "FAILED"],
    ),
    "04 the commit of a success is lost": (
        (Turn(journal=(_at(5, "crash_before"),)), AGAIN),
        ["died", "COMPLETED"],
    ),
    **{
        f"05 killed in the undo of s{step}": (
            (_turn(FAILS, _fault(step, "destroy", effect, after=after)), AGAIN),
            ["died", "COMPENSATED"],
        )
        for step, effect, after in (
            (2, "drain", 0),
            (1, "drain", 1),
            (0, "crash", 1),
            (0, "crash", 9),
        )
    },
    "05 killed at a remove": (
        (_turn(FAILS, _fault(1, "remove", "crash")), AGAIN),
        ["died", "COMPENSATED"],
    ),
    "06 the CLI is killed": ((_turn(_fault(1, "up", "pending", after=1)),), ["FAILED"]),
    "07 a provider fails": ((_turn(FAILS),), ["COMPENSATED"]),
    "08 a destroy fails": (
        (_turn(FAILS, _fault(1, "destroy", "fail")), Turn(op="rollback")),
        ["FAILED", "COMPENSATED"],
    ),
    "08 a destroy lies": (
        (_turn(FAILS, _fault(1, "destroy", "lie")), Turn(op="rollback")),
        ["FAILED", "COMPENSATED"],
    ),
    "08 a remove lies": (
        (_turn(FAILS, _fault(1, "remove", "lie")), Turn(op="rollback")),
        ["FAILED", "COMPENSATED"],
    ),
    "08 a stuck step is skipped": (
        (_turn(FAILS, _fault(1, "destroy", "fail")), Turn(op="skip", step=1), Turn(op="rollback")),
        ["FAILED", "FAILED", "FAILED"],
    ),
    "09 a provider crashes": ((_turn(_fault(1, "up", "leak", after=1)),), ["FAILED"]),
    "10 it hangs": ((_turn(_fault(1, "up", "hang", after=1)),), ["COMPENSATED"]),
    "11 one signal": ((Turn(signals=(7,)),), ["COMPENSATED"]),
    "12 two signals": (
        (_turn(_fault(1, "up", "hang"), signals=(7, 8)), AGAIN),
        ["INTERRUPTED", "COMPENSATED"],
    ),
    "14 the disk is full before the intent": ((Turn(journal=(_at(1, "full"),)),), ["refused"]),
    "14 the disk is full after the intent": (
        (Turn(journal=(_at(5, "full"),)), AGAIN),
        ["INTERRUPTED", "COMPLETED"],
    ),
    "15 the journal is locked": ((Turn(journal=(_at(1, "locked"),)),), ["refused"]),
    "15 the journal is locked half way": (
        (Turn(journal=(_at(8, "locked"),)), AGAIN),
        ["INTERRUPTED", "COMPLETED"],
    ),
    "17 a second runner": ((Turn(rival=5),), ["COMPLETED"]),
    "17 the lease is taken over": ((Turn(takeover=5), AGAIN), ["refused", "COMPLETED"]),
    "19 the clock goes back": (
        (Turn(journal=(_at(5, "clock", seconds=-86400.0),)),),
        ["COMPLETED"],
    ),
    "19 the clock goes forth": (
        (_turn(FAILS, journal=(_at(5, "clock", seconds=86400.0),)),),
        ["COMPENSATED"],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_stacks(row: str) -> None:
    turns, ends = ROWS[row]
    stage = perform(Case(steps=THREE, turns=turns))
    assert stage.violations == []
    assert stage.ends[: len(ends)] == ends


ACTION_ENDS = {
    "fail_before": ["COMPENSATED"],
    "fail_after": ["COMPENSATED"],
    "no_json": ["COMPENSATED"],
    "hang": ["COMPENSATED"],
    "crash_before": ["died", "COMPLETED"],
    "crash_after": ["died", "COMPLETED"],
}


@pytest.mark.parametrize("effect", ACTION_ENDS)
def test_actions(effect: Any) -> None:
    """Rows 1 to 4, 7, 10, 20."""
    turns = (Turn(actions=(ActionFault(step=1, effect=effect),)), AGAIN)
    stage = perform(Case(steps=ACTIONS, turns=turns))
    assert stage.violations == []
    assert stage.ends[: len(ACTION_ENDS[effect])] == ACTION_ENDS[effect]


@pytest.mark.parametrize("before", [-1, 0, 1, 2])
@pytest.mark.parametrize("fails", [False, True], ids=["restored", "not restored"])
def test_a_stack_that_existed_before(before: int, fails: bool) -> None:
    """Row 27: what it held is put back or named, and never destroyed."""
    steps = (Step(size=2, before=before), Step(size=2, after=(0,)))
    faults = [_fault(1, "up", "fail", after=1)]
    if fails:
        faults.append(_fault(0, "restore", "fail"))
    stage = perform(Case(steps=steps, turns=(_turn(*faults),)))
    assert stage.violations == []
    untouched = before in (0, 2)
    assert stage.ends[0] == ("FAILED" if fails and not untouched else "COMPENSATED")


READY = (Step(size=2, ready=True), Step(kind="action", after=(0,), consumes=True, ready=True))
READY_ENDS = {
    "fail_before": ["COMPENSATED"],
    "hang": ["COMPENSATED"],
    "crash_before": ["died", "COMPLETED"],
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("effect", READY_ENDS)
def test_ready(effect: Any, step: int) -> None:
    """Done, and not ready: undone as well. Killed while it is asked: nothing is done twice."""
    turns = (Turn(actions=(ActionFault(step=step, what="ready", effect=effect),)), AGAIN)
    stage = perform(Case(steps=READY, turns=turns))
    assert stage.violations == []
    assert stage.ends[: len(READY_ENDS[effect])] == READY_ENDS[effect]
