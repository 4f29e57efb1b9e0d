"""Whole processes against the clock, the arms of a work in turn and in random order."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.room import House, Room


@dataclass(frozen=True)
class Arm:
    """One way to do a work: a command line for each of its phases, run one after the other.

    `prepare` lays out the room; `answers` are the last lines that prove that the work was done.
    """

    name: str
    phases: dict[str, list[str]]
    answers: dict[str, str]
    prepare: Callable[[Room], None] = lambda _room: None


Times = dict[tuple[str, str], list[float]]
"""Seconds by arm and phase, in the order of the repeats."""


class WrongAnswerError(Exception):
    """An arm did not do its work: what it measured is worth nothing."""


def interleave(
    house: House, arms: Sequence[Arm], repeats: int, *, label: str, warm: bool = True
) -> Times:
    """Each arm once in every repeat, in random order; with `warm`, once more before it counts."""
    times: Times = {(arm.name, phase): [] for arm in arms for phase in arm.phases}
    chance = random.Random(label)
    for repeat in range(0 if warm else 1, repeats + 1):
        for arm in chance.sample(arms, len(arms)):
            for phase, seconds in _once(house, arm):
                if repeat:
                    times[arm.name, phase].append(seconds)
        tell(f"{label}: {'warm' if repeat == 0 else f'{repeat} of {repeats}'}")
    return times


def _once(house: House, arm: Arm) -> Iterator[tuple[str, float]]:
    with house.room() as room:
        arm.prepare(room)
        for phase, command in arm.phases.items():
            seconds, said = timed(room, command)
            if said.rpartition("\n")[2] != arm.answers[phase]:
                raise WrongAnswerError(f"arm {arm.name}, {phase}: it said {said!r}")
            yield phase, seconds


def timed(room: Room, command: Sequence[str]) -> tuple[float, str]:
    """Seconds of wall clock from start to end, and what it printed on stdout."""
    with (room.path / "stderr").open("w+") as errors:
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=room.path,
            env=dict(room.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        errors.seek(0)
        said = done.stdout.strip()
        return seconds, said or errors.read().strip()


def tell(text: str) -> None:
    """Progress, apart from the results."""
    sys.stderr.write(f"{text}\n")
