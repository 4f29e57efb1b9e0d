"""One program in one mode: what it came to, and what is wrong about that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alma import Saga, SagaState, destroy
from alma.core.result import Result
from alma.runner import up
from tests.programs.collection import Adds, Case
from tests.restore.things import world_of
from tests.runner.helpers import ended

MODES: Final = ("step", "update", "alone")
"""A step whose successor fails; an update of what is there, undone; by itself, up and destroyed."""
THEIRS: Final = {"inputs": {"size": 7, "title": "theirs"}, "realm": ""}


@dataclass(frozen=True)
class Outcome:
    """`wrong` is empty where it is as it must be."""

    ended: str
    wrong: str = ""


async def play(case: Case, mode: str, root: Path, world: Path) -> Outcome:
    """Play it in an empty world, but for one thing that is somebody else's."""
    (world / "theirs-1").write_text(json.dumps(THEIRS))
    if mode == "alone":
        return await _alone(case, root, world)
    if mode == "update":
        first = await ended(up(_saga(case.before, root)))
        if first.state is not SagaState.COMPLETED:
            return Outcome(_words(first), "its first version does not come up")
    before, stacks = _contents(world), _stacks(root)
    known = set(world_of(world))
    saga = _saga(case.after, root)
    saga.add_step(name="later", action=_refuses, compensation="none")
    result = await ended(up(saga))
    return Outcome(_words(result), _undone(case, mode, result, world, before, known, stacks, root))


async def _alone(case: Case, root: Path, world: Path) -> Outcome:
    before = _contents(world)
    saga = _saga(case.after, root)
    result = await ended(up(saga))
    if case.fails:
        nothing: set[str] = set()
        wrong = _undone(case, "alone", result, world, before, {"theirs-1"}, nothing, root)
        return Outcome(_words(result), wrong)
    if result.state is not SagaState.COMPLETED:
        return Outcome(_words(result), "it does not come up")
    gone = await ended(destroy(saga, remove=True))
    left = set(world_of(world)) - ({"theirs-1"} - set(case.takes))
    wrong = "" if gone.state is SagaState.COMPLETED else "it is not destroyed"
    wrong = wrong or (f"left: {', '.join(sorted(left))}" if left else "")
    if not wrong and "theirs-1" not in case.takes and not (world / "theirs-1").exists():
        wrong = "what is somebody else's is gone"
    return Outcome(f"{result.state.name}, {_words(gone)}", wrong or _records(root, set()))


def _undone(
    case: Case,
    mode: str,
    result: Result,
    world: Path,
    before: list[Any],
    known: set[str],
    stacks: set[str],
    root: Path,
) -> str:
    expected = dict(case.named).get(mode, "")
    if expected:
        if result.state is not SagaState.FAILED:
            return f"it must be named: {expected}"
        if not any(expected in left.reason for left in result.leftovers):
            return f"no reason says: {expected}"
        unnamed = set(world_of(world)) - known - {left.id for left in result.leftovers}
        return f"not named: {', '.join(sorted(unnamed))}" if unnamed else ""
    if result.state is not SagaState.COMPENSATED:
        return "it is not undone"
    now = _contents(world)
    if now != before:
        return f"there is {now}, and there was {before}"
    return _records(root, stacks)


def _records(root: Path, stacks: set[str]) -> str:
    now = _stacks(root)
    return "" if now == stacks else f"stacks: {sorted(now)}, and there were {sorted(stacks)}"


def _saga(adds: Adds, root: Path) -> Saga:
    saga = Saga("programs")
    adds(saga, root)
    return saga


def _refuses() -> None:
    raise ValueError("no")


def _words(result: Result) -> str:
    more = result.leftovers[0].reason if result.leftovers else ""
    more = more or (result.error.message.split("\n")[0] if result.error is not None else "")
    return f"{result.state.name}: {more}" if more else result.state.name


def _contents(world: Path) -> list[Any]:
    """By name and not by id, which is another one where a thing was made again."""
    return sorted(
        (
            identity.rpartition("-")[0],
            json.dumps(_settled(held), sort_keys=True),
        )
        for identity, held in world_of(world).items()
    )


def _settled(held: dict[str, Any]) -> dict[str, Any]:
    """Without the addresses of others, which have their ids in them, and what is made up."""
    inputs = {
        key: value
        for key, value in held["inputs"].items()
        if key != "title" and not str(value).startswith("address-of-")
    }
    return {**held, "inputs": inputs}


def _stacks(root: Path) -> set[str]:
    stacks = root / ".alma" / "state" / ".pulumi" / "stacks"
    return {str(path.relative_to(stacks)) for path in stacks.rglob("*.json")}
