"""`ready="no-drift"` with the real engine: what is there by now is asked, and not the state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from msgspec.structs import replace
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider

from alma import Saga, SagaState
from alma.runner.start import up
from alma.steps.stack.preview import planned
from tests.pulumi.conftest import Place
from tests.runner.helpers import ended


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the programs by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


class Counted(ResourceProvider):
    """A group of as many as a file says; somebody else writes to that too."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """As it was asked to be, or as it is made to be."""
        Path(props["file"]).write_text(props["made"])
        return CreateResult("group", props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """As it is."""
        return ReadResult(id_, {**props, "size": Path(props["file"]).read_text()})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Gone."""
        Path(props["file"]).unlink(missing_ok=True)


class Group(Resource):
    pass


def group(file: Path, made: str) -> Callable[[], None]:
    def program() -> None:
        pulumi.export("size", "2")
        Group(Counted(), "group", {"file": str(file), "size": "2", "made": made})

    return program


async def test_a_stack_that_is_as_its_program_has_it_is_ready(directory: Path) -> None:
    """Its preview with refresh is a worker's, as any."""
    saga = Saga("ready")
    saga.add_stack("one", program=group(directory / "group", "2"), ready="no-drift")
    result = await ended(up(saga))
    assert result.state is SagaState.COMPLETED, result.error


async def test_what_is_not_as_its_program_has_it_is_planned(place: Place) -> None:
    """By the state alone there is nothing to do."""
    request = place.request(group(place.root / "group", "1"))
    assert (await place.engine.up(request, place.operation())).failure is None
    request = replace(request, create=False)
    by_state = await place.engine.preview(request, place.operation())
    assert planned(by_state) == ()
    looked = await place.engine.preview(replace(request, refresh=True), place.operation())
    assert [one.op for one in planned(looked)] == ["update"]
