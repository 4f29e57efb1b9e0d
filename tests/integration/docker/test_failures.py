"""Each step fails in turn; the daemon says that nothing is left."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest

from alma import SagaFailed, SagaState
from alma.core.result import Result
from alma.runner import rollback
from tests.integration.docker.world import ENDS, TIERS, World


async def failed(run: Awaitable[Result]) -> Result:
    """The result of a run that fails."""
    with pytest.raises(SagaFailed) as caught:
        await run
    return caught.value.result


@contextlib.contextmanager
def taken() -> Iterator[int]:
    """A port of this machine that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


NO_IMAGE = "127.0.0.1:9/nobody/nothing:1"
# With the part of the reason that is Docker's own, whichever plugin hands it on.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "network": ({"subnet": "10.0.0.0/99"}, "invalid CIDR"),
    "database": ({"image": NO_IMAGE}, NO_IMAGE),
    "servers": (ENDS, ""),
}


@pytest.mark.parametrize("step", BAD)
async def test_a_step_that_fails_leaves_nothing_on_the_daemon(world: World, step: str) -> None:
    bad, told = BAD[step]
    result = await failed(world.saga(upto=step, bad=bad).execute())
    assert result.state is SagaState.COMPENSATED
    assert result.failed_step == step
    assert told in result.error.message
    undone = {name for name, one in result.status.steps.items() if one.state.name == "COMPENSATED"}
    assert undone == set(TIERS[: TIERS.index(step) + 1])
    assert world.left() == []
    assert result.leftovers == ()


async def test_a_port_that_is_taken_is_named_and_what_is_gone_already_hinders_no_undo(
    world: World,
) -> None:
    """The proxy fails; before the undo somebody removes two of the containers."""
    with taken() as port:
        result = await failed(world.saga(bad={"port": port}, on_failure="stop").execute())
    assert result.state is SagaState.FAILED
    assert result.failed_step == "proxy"
    assert re.search(rf"127\.0\.0\.1:{port}.*address already in use", result.error.message)
    assert len(world.containers()) == 3, "one for each tier, that of the proxy not started"
    world.container("database").remove(force=True)
    world.container("proxy").remove(force=True)
    result = await failed(rollback(result.run_id))
    assert result.state is SagaState.COMPENSATED
    assert world.left() == []
