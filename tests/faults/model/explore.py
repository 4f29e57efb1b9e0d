"""Many random cases in one process: `python -m tests.faults.model.explore --seed 1 --cases 1000`.

Prints one JSON object: cases, violations (with the case to play again), cases by matrix row.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests import hypotheses
from tests.faults.model import stores
from tests.faults.model.case import Case, Turn
from tests.faults.model.cases import cases
from tests.faults.model.play import play

CHUNK = 250
"""Cases to a seed, as in the tests: what fails here fails there."""

UP = {"fail": 7, "crash": 2, "drain": 3, "pending": 6, "power": 3, "leak": 9, "hang": 10}
BACK = {"fail": 8, "lie": 8, "crash": 5, "drain": 5, "power": 5, "pending": 6, "leak": 9}
JOURNAL = {"crash_before": 1, "crash_after": 2, "full": 14, "locked": 15, "clock": 19}
ACTION = {"fail_before": 7, "fail_after": 7, "crash_before": 2, "crash_after": 4}


@dataclass
class Exploration:
    """What was found; `told` are the violations, with how to see them again."""

    cases: int = 0
    rows: Counter[int] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)


def rows_of(case: Case) -> set[int]:
    """The rows of the matrix that a case has a fault of."""
    rows = {22} if any(step.secret for step in case.steps) else set()
    rows |= {27} if any(step.before is not None for step in case.steps) else set()
    return rows.union(*(_turn_rows(turn) for turn in case.turns))


def _turn_rows(turn: Turn) -> Iterator[int]:
    for fault in turn.engine:
        yield UP.get(fault.effect, 7) if fault.operation == "up" else BACK.get(fault.effect, 10)
    yield from (JOURNAL[fault.effect] for fault in turn.journal)
    yield from (ACTION.get(f.effect, {"hang": 10}.get(f.effect, 20)) for f in turn.actions)
    if turn.signals:
        yield 10 + len(turn.signals)
    if turn.rival or turn.takeover:
        yield 17


def explore(base: int, count: int, deadline: float | None = None) -> Exploration:
    """Play that many cases, in chunks of consecutive seeds; stops early at `deadline`."""
    found = Exploration()
    for chunk in range(-(-count // CHUNK)):
        if deadline is not None and time.monotonic() > deadline:
            break
        _chunk(found, base * 100_000 + chunk, min(CHUNK, count - chunk * CHUNK), deadline)
    return found


def _chunk(found: Exploration, number: int, count: int, deadline: float | None) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def check(case: Case) -> None:
        if deadline is not None and time.monotonic() > deadline:
            return  # Over a server a chunk takes minutes.
        found.cases += 1
        found.rows.update(rows_of(case))
        try:
            violations = play(case)
        except Exception as error:  # noqa: BLE001 - a bug of alma's is a violation as well
            violations = [f"{type(error).__name__}: {error}"]
        if violations:
            found.told.append(f"{violations[0]}\n  play({case!r})")

    check()


def main() -> int:
    """Print what was found."""
    hypotheses.seeds_alone_count()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.model.explore")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seconds", type=float)
    stores.add_option(parser)
    options = parser.parse_args()
    deadline = None if options.seconds is None else time.monotonic() + options.seconds
    with stores.chosen(options.store):
        found = explore(options.seed, options.cases, deadline)
    report = {"cases": found.cases, "rows": found.rows, "told": found.told[:20]}
    sys.stdout.write(json.dumps({**report, "violations": len(found.told)}) + "\n")
    return 1 if found.told else 0


if __name__ == "__main__":
    sys.exit(main())
