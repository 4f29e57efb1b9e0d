"""Runs that Temporal drives: a real server, and journals on Postgres. See `arms/temporal_*.py`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alma.journal.encryption import KEY, new_key
from tests.benchmarks.room import House, script
from tests.benchmarks.timing import WrongAnswerError, tell, timed
from tests.services import postgres, temporal

WORKERS = 4
MANY = {"10 sagas of 100": (10, 100, 4), "one saga of 1,000": (1, 1000, 16)}
"""How many sagas, of how many stacks, how many of them at a time."""
STEPS = 50
"""In a row, where one operation is looked at."""

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Place:
    """Where arms are measured: each in a room, with a journal and states of its own."""

    house: House
    server: postgres.Postgres
    address: str

    def ask(self, command: list[str]) -> dict[str, Any]:
        """What an arm has measured by itself."""
        with (
            self.server.database() as journal,
            self.server.database() as states,
            self.house.room() as room,
        ):
            room.environment.update(
                {
                    "ALMA_TEMPORAL": self.address,
                    "ALMA_JOURNAL": journal.replace("s:", "sql:", 1),
                    KEY: new_key(),
                    "PULUMI_BACKEND_URL": states,
                }
            )
            _, said = timed(room, command)
        try:
            found: dict[str, Any] = json.loads(said.rpartition("\n")[2])
        except ValueError as error:
            raise WrongAnswerError(f"{command[1:]} said {said!r}") from error
        return found

    def seconds(
        self, commands: Mapping[str, list[str]], repeats: int, *, label: str
    ) -> tuple[Samples, dict[str, dict[str, Any]]]:
        """Of each arm in every repeat, in random order, the first to warm up; its last words."""
        times: Samples = {name: [] for name in commands}
        said: dict[str, dict[str, Any]] = {}
        chance = random.Random(label)
        for repeat in range(repeats + 1):
            for name in chance.sample(list(commands), len(commands)):
                said[name] = self.ask(commands[name])
                if repeat:
                    times[name].append(said[name]["seconds"])
            tell(f"{label}: {'warm' if repeat == 0 else f'{repeat} of {repeats}'}")
        return times, said


@contextmanager
def place(house: House) -> Iterator[Place]:
    """With both servers."""
    with TemporaryDirectory(prefix="bench-temporal-") as directory:
        for name in ("postgres", "temporal"):
            Path(directory, name).mkdir()
        with (
            postgres.running(Path(directory, "postgres")) as server,
            temporal.running(Path(directory, "temporal")) as there,
        ):
            yield Place(house, server, there.address)


def many(place: Place, name: str) -> dict[str, Any]:
    """A thousand stacks of an engine that does nothing, over all workers."""
    return place.ask(script("temporal_up.py", WORKERS, *MANY[name]))


def one_operation(place: Place, repeats: int) -> tuple[Samples, dict[str, dict[str, Any]]]:
    """A chain of such stacks: here, by one worker, and beside it activities that do nothing."""
    commands = {
        "Temporal": script("temporal_up.py", 1, 1, STEPS, 1),
        "local": script("temporal_up.py", 0, 1, STEPS, 1),
        "bare": script("temporal_bare.py", STEPS),
    }
    return place.seconds(commands, repeats, label="temporal, one operation")


def real(place: Place, shape: str, repeats: int) -> Samples:
    """The real CLI: here, and by two workers."""
    commands = {
        "local": script("temporal_real.py", 0, shape),
        "two workers": script("temporal_real.py", 2, shape),
    }
    return place.seconds(commands, repeats, label=f"temporal, {shape}")[0]
