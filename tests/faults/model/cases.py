"""Random cases; made of small draws, so that a failing one shrinks to what matters."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from alma.testing import Fault, JournalFault
from tests.faults.model.case import SAGA, ActionFault, Case, Step, Turn

UP = ("fail", "fail", "crash", "drain", "pending", "power", "leak", "hang")
DESTROY = ("fail", "fail", "crash", "drain", "lie", "power", "hang")
RESTORE = ("fail", "fail", "crash", "drain", "pending", "power", "leak", "hang")
REMOVE = ("fail", "crash", "lie")
JOURNAL = ("crash_before", "crash_after", "crash_before", "crash_after", "full", "locked", "clock")
ACTION = ("fail_before", "fail_after", "crash_before", "crash_after", "hang", "no_json")
NEXT = ("resume", "resume", "resume", "rollback", "rollback", "up", "destroy", "skip", "abandon")


@st.composite
def cases(draw: Any) -> Case:
    """A DAG of 1 to 8 steps, and 1 to 4 runners one after the other."""

    def pick(*options: Any) -> Any:
        return draw(st.sampled_from(options))

    def number(low: int, high: int) -> int:
        return int(draw(st.integers(low, high)))

    count = pick(1, 2, 2, 3, 3, 4, 5, 8)
    steps = tuple(_step(pick, number, index) for index in range(count))
    turns = tuple(_turn(pick, number, index, count) for index in range(number(1, 4)))
    return Case(
        steps=steps,
        turns=turns,
        parallelism=pick(1, 2, 4),
        on_failure=pick("compensate", "compensate", "compensate", "stop"),
    )


def _step(pick: Any, number: Any, index: int) -> Step:
    stack = pick(True, True, True, False)
    plain = pick(True, True, False)
    parents = pick(1, 1, 2, 0) if index else 0
    return Step(
        kind="stack" if stack else "action",
        after=tuple(sorted({number(0, index - 1) for _ in range(parents)})),
        consumes=bool(index) and pick(False, True),
        size=pick(1, 2, 0, 3),
        before=None if plain or not stack else pick(0, 1, 2, -1),
        undo="destroy"
        if plain
        else pick("destroy", "retain", "callable")
        if stack
        else pick("destroy", "none"),
        pivot=False if plain else pick(False, False, True),
        tries=1 if plain else pick(1, 2, 3),
        undo_tries=1 if plain else pick(1, 2),
        secret=pick(False, True),
        ready=False if plain else pick(False, True),
    )


def _turn(pick: Any, number: Any, index: int, count: int) -> Turn:
    kinds = [pick("engine", "engine", "journal", "action", "signal", "other", "none")]
    kinds += [pick("engine", "journal", "none", "none")]
    moment = 6 * count + 6
    engine = tuple(_engine(pick, number, count) for kind in kinds if kind == "engine")
    journal = tuple(
        JournalFault(nth=number(1, moment), effect=pick(*JOURNAL), seconds=pick(86400.0, -86400.0))
        for kind in kinds
        if kind == "journal"
    )
    actions = tuple(
        ActionFault(
            step=number(0, count - 1),
            what=pick("action", "compensation", "ready"),
            nth=pick(1, 1, 2),
            effect=pick(*ACTION),
        )
        for kind in kinds
        if kind == "action"
    )
    first = number(3, moment) if "signal" in kinds else 0
    signals = (first, first + number(1, 4)) if first and pick(True, False) else (first,)
    other = pick("rival", "takeover") if "other" in kinds else ""
    some = pick(False, False, False, True)
    return Turn(
        op=pick(*NEXT) if index else "up",
        engine=engine,
        journal=journal,
        actions=actions,
        signals=signals if first else (),
        rival=number(2, moment) if other == "rival" else 0,
        takeover=number(2, moment) if other == "takeover" else 0,
        step=number(0, count - 1) if index else 0,
        only=(number(0, count - 1),) if some else (),
        alone=some and pick(False, True),
    )


def _engine(pick: Any, number: Any, count: int) -> Fault:
    operation = pick("up", "up", "up", "destroy", "destroy", "restore", "remove", "inspect")
    effects = {"up": UP, "destroy": DESTROY, "restore": RESTORE, "remove": REMOVE}.get(
        operation, ("crash", "unreadable")
    )
    return Fault(
        project=f"{SAGA}-s{number(0, count - 1)}",
        operation=operation,
        effect=pick(*effects),
        nth=pick(1, 1, 1, 2, 3),
        after=pick(0, 1, 2, 3),
    )
