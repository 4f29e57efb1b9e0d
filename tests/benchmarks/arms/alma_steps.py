"""A: so many steps that do nothing, one after the other; prints how many a second."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from alma import Saga

count = int(sys.argv[1])


def nothing() -> None:
    pass


async def nothing_async() -> None:
    pass


def run(name: str, steps: int) -> float:
    saga = Saga(name)
    for number in range(steps):
        action = nothing_async if "async" in sys.argv else nothing
        saga.add_step(f"s{number}", action=action, compensation="none")
    began = time.perf_counter()
    saga.run(journal=Path("steps.db"))
    return steps / (time.perf_counter() - began)


run("warm", 5)
print(run("bench", count))
