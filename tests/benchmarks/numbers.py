"""Works whose arms print a number of their own instead of being timed from outside."""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.util import find_spec

from tests.benchmarks.room import House, projects, script
from tests.benchmarks.timing import WrongAnswerError, tell, timed

STEPS = 300
CHAIN = 5


def steps(house: House, repeats: int) -> dict[str, list[float]]:
    """Steps that do nothing, a second; DBOS only where it is installed."""
    commands = {
        "alma": script("alma_steps.py", STEPS),
        "alma, async": script("alma_steps.py", STEPS, "async"),
    }
    if find_spec("dbos") is not None:
        commands["DBOS"] = script("dbos_steps.py", STEPS)
    return _each(house, commands, repeats, label="steps")


def share(house: House, repeats: int) -> dict[str, list[float]]:
    """The journal's share of a chain's run, in percent: fresh, which writes the most.

    `all` of it, and what is `waited` for: not while the CLI that is noted works.
    """
    commands = {
        "all": script("alma_share.py", CHAIN),
        "waited": script("alma_share.py", CHAIN, "waited"),
    }
    return _each(house, commands, repeats, label="share")


def _each(
    house: House, commands: dict[str, list[str]], repeats: int, *, label: str
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in commands}
    for repeat in range(repeats + 1):
        for name in random.sample(list(commands), len(commands)):
            number = _number(house, commands[name])
            if repeat:
                found[name].append(number)
        tell(f"{label}: {'warm' if repeat == 0 else f'{repeat} of {repeats}'}")
    return found


def _number(house: House, command: Sequence[str]) -> float:
    with house.room() as room:
        projects(room, 1)
        _, said = timed(room, command)
    try:
        return float(said.rpartition("\n")[2])
    except ValueError as error:
        raise WrongAnswerError(f"{command[1]} said {said!r}") from error
