"""Drift of what is asked by a check, or by what must be ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import Request, Saga, Secret
from alma.runner import up
from alma.runner.drift import SagaDrift, drift, drift_of_run
from alma.testing import FakeEngine
from tests.runner.helpers import settings
from tests.runner.test_drift import verdicts
from tests.steps.api import serve


@pytest.mark.parametrize("by_journal", [False, True])
async def test_requests_and_commands_are_asked_by_their_checks(
    journal: Path, tmp_path: Path, *, by_journal: bool
) -> None:
    """A secret that they are given stays one; without a check they cannot be told."""
    made = tmp_path / "made"
    with serve() as api:

        def saga() -> Saga:
            saga = Saga("s")
            record = saga.add_http(
                "record",
                do=Request("POST", f"{api.url}/records", json={"key": Secret("hush-canary")}),
                undo=Request("DELETE", f"{api.url}/records/{{outputs.id}}"),
                check=Request("GET", f"{api.url}/records/{{outputs.id}}"),
            )
            saga.add_command(
                "file",
                do=["touch", str(made)],
                undo=["rm", str(made)],
                check=["test", "-e", str(made)],
                inputs={"id": record.output("id")},
            )
            saga.add_command("opaque", do=["true"], undo="none")
            return saga

        async def look() -> SagaDrift:
            if by_journal:
                return await drift_of_run("latest", settings(FakeEngine(), journal))
            return await drift(saga(), settings=settings(FakeEngine(), journal))

        await up(saga(), settings=settings(FakeEngine(), journal))
        found = await look()
        assert verdicts(found) == {"record": "none", "file": "none", "opaque": "unasked"}
        assert found.exit_code == 0
        api.records.clear()
        made.unlink()
        found = await look()
        assert verdicts(found) == {"record": "drifted", "file": "drifted", "opaque": "unasked"}
        assert "canary" not in str(found)
        api.answers.append(("GET", 500, {}))
        assert verdicts(await look())["record"] == "unknown"


async def test_what_must_be_ready_is_asked_where_a_kind_has_no_way_of_its_own(
    journal: Path,
) -> None:
    up_now = True

    def saga() -> Saga:
        saga = Saga("s")
        saga.add_step(lambda: {"url": "x"}, lambda: None, name="act", ready=lambda: up_now)
        return saga

    await up(saga(), settings=settings(FakeEngine(), journal))
    assert verdicts(await drift(saga(), settings=settings(FakeEngine(), journal))) == {
        "act": "none"
    }
    up_now = False
    found = await drift(saga(), settings=settings(FakeEngine(), journal))
    [lost] = found.steps[0].drift.resources
    assert lost.why == "it is not ready any more: its function says no"
