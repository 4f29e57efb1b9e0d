"""A daemon that refuses, loses its answers, goes away and comes back, or is not there at all."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alma import Retry, SagaState
from alma.core import events as ev
from alma.journal import open_journal
from alma.runner import rollback
from tests.integration.docker.test_failures import failed
from tests.integration.docker.world import ENDS, World
from tests.pulumi.conftest import environment, until

pytestmark = pytest.mark.usefixtures("stand_in")

CREATE = "/containers/create"
SAGA = """
from alma import Saga
from stacks.docker import network

saga = Saga("nowhere")
saga.add_stack("network", program=network.program)
"""


async def test_retries_outlast_a_daemon_that_goes_away_and_leave_one_container(
    world: World, between: Any
) -> None:
    """503, then a lost answer over a container that was made, then no daemon for a while."""
    between.fail(503, match=CREATE)
    between.drop(match=CREATE, done=True)
    saga = world.saga(upto="database", retry=Retry(attempts=9, delay=0.3, factor=1))
    run = asyncio.create_task(saga.execute())
    try:
        await until(lambda: [r.fault for r in between.requests].count("answer lost"), 120)
        between.down()
        await until(lambda: any("does not answer" in told for told in reasons()), 120)
        between.up()
        result = await run
    finally:
        run.cancel()
    assert result.state is SagaState.COMPLETED
    assert [told.count("503") for told in reasons()[:2]] == [1, 0]
    assert len(world.containers()) == 1
    assert world.container("database").status == "running"


def reasons() -> list[str]:
    """Why the attempts of the run so far have failed."""
    with open_journal(Path(".alma/journal.db"), write=False) as journal:
        rows = journal.events(journal.resolve("latest"))
    return [r.event.failure.message for r in rows if isinstance(r.event, ev.OperationFailed)]


async def test_what_the_daemon_does_not_delete_is_a_leftover_until_it_does(
    world: World, between: Any
) -> None:
    """The database ends at once; the daemon answers 503 to the deletion of its container."""
    database = asyncio.create_task(until(lambda: running(world, "database"), 120))
    between.fail(503, match=lambda r: r.method == "DELETE" and database.result().id in r.path)
    result = await failed(world.saga(upto="database", bad=ENDS).execute())
    assert result.state is SagaState.FAILED
    assert result.failed_step == "database"
    assert "ended with code 7: no heart" in result.error.message
    container = database.result()
    assert container.id in {left.id for left in result.leftovers}
    assert any("503" in left.reason for left in result.leftovers)
    assert container.name in world.left()

    result = await failed(rollback(result.run_id))
    assert result.state is SagaState.COMPENSATED
    assert world.left() == []


def running(world: World, project: str) -> Any:
    """The container of a step, once it is there."""
    found = [c for c in world.containers() if c.labels["pulumi.project"].endswith(f"-{project}")]
    return found[0] if found else None


def test_a_daemon_that_is_not_there_is_named_with_what_to_do(
    world: World,  # noqa: ARG001 - its provider
    tmp_path: Path,
) -> None:
    (tmp_path / "saga.py").write_text(SAGA)
    host = f"unix://{tmp_path}/nobody.sock"
    done = subprocess.run(
        [sys.executable, "-m", "alma", "up", "--json"],
        env={**environment(), "DOCKER_HOST": host},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    document = json.loads(done.stdout)
    assert document["state"] == "COMPENSATED"
    assert document["leftovers"] == []
    message = document["failure"]["message"]
    assert f"the Docker daemon at {host} does not answer" in message
    assert "Start it" in message
    assert "docker:host" in message
    assert "Traceback" not in done.stderr
