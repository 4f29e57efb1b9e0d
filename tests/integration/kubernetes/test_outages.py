"""An API server that is not there, does not know who asks, or goes away and comes back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from alma import Retry, Saga, SagaState, Secret
from alma.runner import rollback, up
from stacks.kubernetes.namespace import program as namespace_program
from stacks.kubernetes.settings import program
from tests.integration.kubernetes.app import ended
from tests.integration.kubernetes.cluster import Cluster, patiently
from tests.integration.kubernetes.command import Ended, side_by_side
from tests.integration.kubernetes.command import up as up_by_command
from tests.services.proxy import Proxy

if TYPE_CHECKING:
    import pytest

SAGA = """
from alma import Saga
from stacks.kubernetes import namespace

saga = Saga("refused")
saga.add_stack("namespace", program=namespace.program, config={{"name": "{name}"}})
"""


def unreachable(contents: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    contents["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"


def unknown(contents: dict[str, Any]) -> None:
    contents["users"][0]["user"] = {"token": "nobody-has-this-token"}


def contextless(contents: dict[str, Any]) -> None:
    contents["current-context"] = "nowhere"


SPOILED = {
    unreachable: "connect: connection refused",
    unknown: "the server has asked for the client to provide credentials",
    contextless: "context was not found for specified context: nowhere",
}


def test_a_cluster_that_cannot_be_used_is_named_and_nothing_is_left(
    kubernetes_api: Any,
    cluster: Cluster,
    provider: dict[str, str],  # noqa: ARG001 - its plugin is on PATH
    namespace: str,
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    """With the reason, and no credentials in it; exit code 4, clean."""

    def run(spoil: Callable[[dict[str, Any]], None]) -> Ended:
        contents = yaml.safe_load(kubernetes_api.kubeconfig.read_text())
        spoil(contents)
        (kubeconfig := tmp_path / f"{spoil.__name__}.yaml").write_text(yaml.safe_dump(contents))
        directory = tmp_path / spoil.__name__
        return up_by_command(directory, SAGA.format(name=namespace), KUBECONFIG=str(kubeconfig))

    for spoil, told in side_by_side(run, SPOILED).items():
        with subtests.test(spoil.__name__):
            assert told.code == 4, told.stderr
            assert told.document["state"] == "COMPENSATED"
            assert SPOILED[spoil] in told.document["error"]
            assert "Traceback" not in told.stderr
            assert "nobody-has-this-token" not in f"{told}"
    assert cluster.namespace(namespace) is None


async def test_faults_are_tried_again_and_an_undo_that_cannot_reach_the_cluster_names_what_is_left(
    cluster: Cluster, provider: dict[str, str], namespace: str, proxy: Proxy, tmp_path: Path
) -> None:
    """Throttled at the namespace; away when the settings are to be made, and back for a retry. Away
    again for the undo: every object is a leftover, and a rollback with the server back leaves none.
    """
    attempts = tmp_path / "attempts"

    def noted() -> None:
        with attempts.open("a") as file:
            file.write("x")
        program()

    def comes_back() -> None:
        for _ in patiently("there is no second attempt"):
            if attempts.exists() and len(attempts.read_text()) > 1:
                proxy.up()
                return

    def goes_away() -> None:
        proxy.down()
        raise ConnectionError("the line is dead")

    proxy.fail(429, match=f"PATCH /api/v1/namespaces/{namespace}?")
    retry = Retry(attempts=6, delay=0.2)
    made = Saga(namespace)
    space = made.add_stack(
        "namespace", program=namespace_program, config={**provider, "name": namespace}, retry=retry
    )
    made.add_step("away", action=proxy.down, compensation="none")
    made.add_stack(
        "settings",
        program=noted,
        config={**provider, "secrets": Secret({"PASSWORD": "swordfish"})},
        inputs={"namespace": space.output("name")},
        after=["away"],
        retry=retry,
    )
    made.add_step("broken", action=goes_away, compensation="none")

    watcher = asyncio.create_task(asyncio.to_thread(comes_back))
    result = await ended(up(made))
    await watcher
    assert result.failed_step == "broken"
    assert result.status.steps["namespace"].attempts == 2
    assert result.status.steps["settings"].attempts > 1
    assert result.state is SagaState.FAILED
    kinds = {left.urn.rpartition("::")[0].rpartition(":")[2] for left in result.leftovers}
    assert kinds >= {"ConfigMap", "Secret", "Namespace"}
    assert all(left.reason for left in result.leftovers)
    assert len(cluster.left(namespace)) == 3

    proxy.up()
    result = await ended(rollback(result.run_id, saga=made))
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert cluster.left(namespace) == []
