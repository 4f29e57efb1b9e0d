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

pytestmark = pytest.mark.lives


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the programs by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


class Files(ResourceProvider):
    """A group is a file; somebody else may take that away."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """The file."""
        Path(props["file"]).touch()
        return CreateResult("group", props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """None where the file is gone."""
        return ReadResult(id_, props) if Path(props["file"]).exists() else ReadResult("", {})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Gone."""
        Path(props["file"]).unlink(missing_ok=True)


class Group(Resource):
    pass


def group(file: Path) -> Callable[[], None]:
    def program() -> None:
        pulumi.export("file", str(file))
        Group(Files(), "group", {"file": str(file)})

    return program


async def test_a_stack_that_is_as_its_program_has_it_is_ready(directory: Path) -> None:
    """Its preview with refresh is a worker's, as any."""
    saga = Saga("ready")
    saga.add_stack("one", program=group(directory / "group"), ready="no-drift")
    result = await ended(up(saga))
    assert result.state is SagaState.COMPLETED, result.error


async def test_what_is_not_as_its_program_has_it_is_planned(place: Place) -> None:
    """By the state alone there is nothing to do."""
    request = place.request(group(place.root / "group"), create=True)
    assert (await place.engine.up(request, place.operation())).failure is None
    (place.root / "group").unlink()
    request = replace(request, create=False)
    by_state = await place.engine.preview(request, place.operation())
    assert planned(by_state) == ()
    looked = await place.engine.preview(replace(request, refresh=True), place.operation())
    assert [one.op for one in planned(looked)] == ["create"]
