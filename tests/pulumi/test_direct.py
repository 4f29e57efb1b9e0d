"""States of a bucket and of a database read without the CLI: only what is proven is believed."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from alma.pulumi import direct
from alma.pulumi.direct import DirectReads
from alma.pulumi.engine import StackRef, WorkspaceOptions
from tests.pulumi import programs
from tests.pulumi.conftest import Place
from tests.services.states import TableStates

REF = StackRef(project="demo", stack="dev")


class Told:
    """What the CLI exports, and how often it was asked; `kept` is what the other client finds."""

    def __init__(self, time: str | None, kept: str | None) -> None:
        self.time, self.kept, self.asked = time, kept, 0

    async def deployment(self, _ref: StackRef, *, show_secrets: bool) -> dict[str, Any] | None:
        assert not show_secrets
        self.asked += 1
        if self.time is None:
            return None
        return {"version": 3, "deployment": {"manifest": {"time": self.time}}}

    def fetch(self, path: str) -> bytes | None:
        assert path == ".pulumi/stacks/demo/dev.json"
        if self.kept is None:
            raise ConnectionError("elsewhere")
        latest = {"manifest": {"time": self.kept}}
        return json.dumps({"version": 3, "checkpoint": {"latest": latest}}).encode()


def _reads(told: Told, monkeypatch: pytest.MonkeyPatch) -> DirectReads:
    monkeypatch.setattr(direct, "_fetcher", lambda _: told.fetch)
    return DirectReads("s3://somewhere", os.environ)


async def _take(reads: DirectReads, told: Told, ref: StackRef = REF) -> str | None:
    document = await reads.take(told, ref)  # type: ignore[arg-type]
    return document and document["deployment"]["manifest"]["time"]


async def test_what_the_cli_exports_proves_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on it is read directly; that it is not there only the CLI says."""
    told = Told("1", "1")
    reads = _reads(told, monkeypatch)
    assert await _take(reads, told) == "1"
    told.kept = "2"
    assert await _take(reads, told) == "2"
    assert told.asked == 1
    other = StackRef(project="demo", stack="dev", options=WorkspaceOptions(env={"A": "b"}))
    assert await _take(reads, told, other) == "1"
    told.kept = told.time = None
    assert await _take(reads, told) is None
    assert told.asked == 3


@pytest.mark.parametrize("kept", ["2", None])
async def test_a_client_that_looks_elsewhere_is_never_believed(
    monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    """Not even when it finds the right thing later."""
    told = Told("1", kept)
    reads = _reads(told, monkeypatch)
    assert await _take(reads, told) == "1"
    told.kept = "1"
    assert await _take(reads, told) == "1"
    told.kept = "2"
    assert await _take(reads, told) == "1"
    assert told.asked == 3


@pytest.mark.parametrize(
    ("url", "variables"),
    [
        ("s3://bucket?region=r&awssdk=v1", {}),
        ("s3://bucket?kmskeyid=k", {}),
        ("gs://bucket", {}),
        ("azblob://container", {}),
        ("https://api.pulumi.com", {}),
        ("file:///tmp", {}),
        ("postgres://u@one,two/db", {}),
        ("postgres://u@host/db?target_session_attrs=any", {}),
        ("postgres://u@host/db?table=Mine", {}),
        ("postgres:///db", {}),
        ("postgres://u@host/db", {"PGSERVICE": "s"}),
    ],
)
def test_what_two_clients_may_understand_differently_is_the_clis(
    url: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert direct._fetcher(url) is None


async def test_a_database_is_read_directly(
    place: Place, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same checkpoint, and one process of the CLI for all looks of a run."""
    states = TableStates(database, database)
    monkeypatch.setenv("PULUMI_BACKEND_URL", states.url("one"))
    await place.engine.close()
    place.engine = type(place.engine)(parallelism=1)
    assert not (await place.engine.inspect(REF)).exists
    assert (await place.up(programs.one)).failure is None
    noted = len(place.commands())
    now = await place.engine.inspect(REF)
    assert [one.id for one in now.resources if one.type.startswith("pulumi-python:")] == ["id-a"]
    assert len(place.commands()) == noted
    other = type(place.engine)(environ={**os.environ})
    assert await other.inspect(REF) == now, "what the CLI says"
    assert len(place.commands()) == noted + 1
    await other.close()
    await place.engine.close()
