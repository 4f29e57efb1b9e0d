"""Sagas over an engine that does nothing: the same for their workers, and for who starts them."""

from __future__ import annotations

from alma import Saga


def nothing() -> None:
    """The engine's fake does not run it."""


def sagas(count: str, steps: str, parallel: str) -> list[Saga]:
    """So many, of so many stacks each, as many at a time; of one at a time each waits for one."""
    found = [Saga(f"many-{number}", parallelism=int(parallel)) for number in range(int(count))]
    for saga in found:
        for number in range(int(steps)):
            saga.add_stack(f"s{number}", program=nothing, after=[] if int(parallel) > 1 else None)
    return found
