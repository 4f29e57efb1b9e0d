"""Creates whose answer cannot be taken, through the real engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import PendingCreate, Retry, Saga, SagaState
from alma.core.events import Leftover, OperationIntended
from alma.core.result import Result
from alma.runner.settings import Settings
from alma.runner.start import up
from tests.pulumi.test_answers import RETURNED
from tests.runner.helpers import ended, history


class MakingProvider(ResourceProvider):
    """Makes a file, waits until all of its kind have begun, then answers as told."""

    def create(self, props: dict[str, Any]) -> Any:
        """Act, and answer so that nobody can take it."""
        made = Path(props["made"])
        made.write_text("made")
        deadline = time.monotonic() + 300
        while len(list(made.parent.iterdir())) < props["many"] and time.monotonic() < deadline:
            time.sleep(0.02)
        kind = props["kind"]
        if kind.startswith("raise:"):
            raise ConnectionError(kind.removeprefix("raise:"))
        if kind == "an empty id":
            return CreateResult("", dict(props))
        if kind == "an unknown value":
            return CreateResult("i", {"value": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"})
        return RETURNED[kind]()

    def delete(self, id: str, props: dict[str, Any]) -> None:  # noqa: A002, ARG002 - Pulumi's names
        """Remove the file."""
        Path(props["made"]).unlink(missing_ok=True)


class Made(Resource):
    """A file, and an answer."""

    def __init__(self, name: str, kind: str, world: Path, many: int) -> None:
        props = {"kind": kind, "made": str(world / name), "many": many}
        super().__init__(MakingProvider(), name, props)


REAL = [
    ["half a surrogate pair", "a datetime", "a set", "a Decimal"],
    ["bytes", "an id that is a number", "an empty id", "nothing"],
    ["raise:504 Gateway Time-out", "raise:context deadline exceeded", "an unknown value"],
    [
        "raise:http2: client connection lost",
        "raise:HTTP 503 Service Unavailable",
        "raise:the server may still be processing the request",
    ],
]
"""As many at once as the SDK's server takes."""


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins import this module by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


async def bring_up(directory: Path, kinds: list[str], resolver: Any = None) -> Result:
    """A saga of one stack, new, with a resource for each kind."""
    world = directory / "world"
    world.mkdir()
    names = {f"r{index}": kind for index, kind in enumerate(kinds)}

    def program() -> None:
        for name, kind in names.items():
            Made(name, kind, world, len(names))

    saga = Saga("answers")
    saga.add_stack("things", program=program, resolver=resolver)
    return await ended(up(saga, settings=Settings()))


def name_of(left: Leftover) -> str:
    """Of the resource."""
    return left.urn.rpartition("::")[2]


@pytest.mark.parametrize("kinds", REAL, ids=lambda kinds: kinds[0])
async def test_a_create_that_took_effect_is_never_clean(directory: Path, kinds: list[str]) -> None:
    """FAILED, each named by its URN: the files are there."""
    result = await bring_up(directory, kinds)
    assert len(list((directory / "world").iterdir())) == len(kinds)
    assert result.state is SagaState.FAILED
    assert sorted(map(name_of, result.leftovers)) == [f"r{n}" for n in range(len(kinds))]
    assert all("may exist" in left.reason for left in result.leftovers)


async def test_a_resolver_is_asked_about_it(directory: Path) -> None:
    """What it has seen not to exist is no leftover; what it finds has its id."""

    def resolver(create: PendingCreate) -> str | None:
        made = directory / "world" / create.name
        if create.name == "r0":
            made.unlink()
        return str(made) if made.exists() else None

    result = await bring_up(directory, ["a datetime", "nothing"], resolver)
    assert result.state is SagaState.FAILED
    assert [(name_of(left), Path(left.id).name) for left in result.leftovers] == [("r1", "r1")]


async def test_it_is_not_made_a_second_time(directory: Path) -> None:
    """A retry of the step would do it again."""
    world = directory / "world"
    world.mkdir()
    saga = Saga("once")
    retry = Retry(attempts=3, delay=0.01)
    saga.add_stack("things", program=lambda: Made("r0", "a datetime", world, 1), retry=retry)
    result = await ended(up(saga, settings=Settings()))
    assert result.state is SagaState.FAILED
    begun = [entry.event for entry in history(directory / ".alma" / "journal.db")]
    assert [one.kind for one in begun if isinstance(one, OperationIntended)].count("up") == 1
