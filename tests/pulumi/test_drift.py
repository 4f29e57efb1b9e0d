"""Drift of a stack with the real engine: what is there by now, held against the state alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from msgspec import UNSET
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from alma import DefinitionError, Saga, SagaState
from alma.core.definition import StepDefinition
from alma.core.drift import Drift
from alma.core.run import StepStatus
from alma.runner.repair import repair
from alma.runner.start import up
from alma.steps.stack.drift import look
from tests.pulumi.conftest import Place
from tests.runner.helpers import ended


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import the programs by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


class Files(ResourceProvider):
    """A document is a file, which somebody else may change or take away. It has no `diff`."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        self.write(props)
        return CreateResult(props["file"], props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        path = Path(props["file"])
        if path.is_dir():
            raise RuntimeError("the disk cannot be reached")
        return ReadResult(id_, props | json.loads(path.read_text())) if path.exists() else gone()

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        self.write(news)
        return UpdateResult(news)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        Path(props["file"]).unlink(missing_ok=True)

    def write(self, props: dict[str, Any]) -> None:
        kept = {key: value for key, value in props.items() if key not in ("file", "__provider")}
        Path(props["file"]).write_text(json.dumps(kept))


def gone() -> ReadResult:
    return ReadResult("", {})


class Compared(Files):
    """The same with a `diff`, as real providers have."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        inner = ("__provider", "file")
        return DiffResult(
            changes=any(olds.get(key) != news[key] for key in news if key not in inner)
        )


class Document(Resource):
    pass


def documents(place: Path) -> Callable[[], None]:
    def program() -> None:
        secret = pulumi.Output.secret("hush-canary")
        inside = pulumi.ComponentResource("a:b:Group", "group")
        Document(Files(), "plain", {"file": f"{place}/plain", "size": 1})
        Document(Compared(), "sealed", {"file": f"{place}/sealed", "tags": {"a": 1}, "key": secret})
        within = pulumi.ResourceOptions(parent=inside, protect=True)
        Document(Compared(), "gone", {"file": f"{place}/gone", "size": 1}, within)
        pulumi.export("made", "yes")

    return program


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def digests(root: Path) -> dict[str, str]:
    """Of each file of a backend."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def properties(found: Drift, name: str) -> dict[str, Any]:
    [one] = [one for one in found.resources if one.urn.endswith(name)]
    return {each.path: (each.was, each.now) for each in one.properties}


async def test_what_is_not_as_the_state_has_it_is_told_by_resource_and_property(
    place: Place,
) -> None:
    """By the state alone: no lock, no history, nothing written; of a secret that it differs."""
    root = place.root
    request = place.request(documents(root), create=True)
    assert (await place.engine.up(request, place.operation())).failure is None
    left = (await place.engine.inspect(request.ref)).fingerprint
    step = StepDefinition(name="one", kind="stack")

    async def looked(fingerprint: str = left) -> Drift:
        status = StepStatus(definition=step, fingerprint=fingerprint)
        return await look(place.engine, request.ref, status, place.operation())

    before = digests(root / ".alma")
    assert (await looked()).verdict == "none"

    edit(root / "plain", size=2)
    edit(root / "sealed", tags={"a": 1, "b": "x"}, key="another-canary")
    (root / "gone").unlink()
    found = await looked()
    ops = {one.urn.rpartition("::")[2]: one.op for one in found.resources}
    assert ops == {"plain": "update", "sealed": "update", "gone": "delete"}
    assert properties(found, "plain") == {"size": (1, 2)}
    assert [one.urn.rpartition("::")[2] for one in found.resources if one.stays] == ["plain"]
    assert properties(found, "sealed") == {"tags.b": (UNSET, "x")}
    edit(root / "sealed", tags={"a": 1})
    (root / "plain").unlink()
    (root / "plain").mkdir()
    found = await looked()
    [secret] = [one for one in found.resources if one.urn.endswith("sealed")]
    assert "secret" in secret.why
    assert "canary" not in str(found)
    assert digests(root / ".alma") == before
    assert not place.live_locks()

    # What could not be asked is named beside what could.
    assert "the disk cannot be reached" in str(found.failure)
    assert "plain" in [urn.rpartition("::")[2] for urn, _ in found.unasked]

    [path] = (root / ".alma" / "state" / ".pulumi" / "stacks").rglob("dev.json")
    state = json.loads(path.read_text())
    latest = state["checkpoint"]["latest"]
    begun = next(one for one in latest["resources"] if one["urn"].endswith("::gone"))
    latest["pending_operations"] = [{"resource": begun, "type": "updating"}]
    path.write_text(json.dumps(state))
    found = await looked()
    assert (begun["urn"], "it was cut off while updating") in found.unasked
    assert "somebody else has changed its state" in str(found.notes)
    path.unlink()
    [missing] = (await looked()).resources
    assert (missing.urn, missing.op) == ("demo/dev", "missing")


@pytest.mark.lives
async def test_a_repair_brings_back_and_is_undone_where_it_fails(directory: Path) -> None:
    """By the engine's own refresh; undone, what was there before is as its state had it."""
    (directory / "ok").touch()

    def ready() -> bool:
        return (directory / "ok").exists()

    saga = Saga("s")
    saga.add_stack("one", program=documents(directory))
    saga.add_step(lambda: None, lambda: None, name="after", ready=ready, ready_timeout=0.2)
    assert (await ended(up(saga))).state is SagaState.COMPLETED
    (directory / "gone").unlink()
    edit(directory / "sealed", tags={"a": 2})
    (directory / "ok").unlink()
    # The step that comes after it is not ready any more, and is not made so by doing it again.
    result = await ended(repaired(saga))
    assert result.state is SagaState.COMPENSATED, result.error
    for name in ("plain", "sealed", "gone"):
        assert json.loads((directory / name).read_text())
    (directory / "ok").touch()
    edit(directory / "plain", size=2)
    with pytest.raises(DefinitionError, match="for what is to be"):
        await repair(saga)
    edit(directory / "plain", size=1)
    edit(directory / "sealed", tags={"a": 2})
    (directory / "gone").unlink()
    result = await ended(repaired(saga))
    assert result.state is SagaState.COMPLETED, result.error
    assert json.loads((directory / "sealed").read_text())["tags"] == {"a": 1}
    assert (directory / "gone").exists()


async def repaired(saga: Saga) -> Any:
    return await repair(saga)
