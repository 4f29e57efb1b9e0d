"""An application on a cluster, from its first day to its last; each time the cluster is asked."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alma import Saga, SagaState
from alma.core.result import Result
from alma.runner import destroy, up
from tests.integration.kubernetes.app import PASSWORD, STEPS, ended, saga
from tests.integration.kubernetes.cluster import Cluster

DIGEST = "checksum/settings"
Seen = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Life:
    """The application in one namespace."""

    cluster: Cluster
    provider: dict[str, str]
    namespace: str

    def saga(self, **changes: Any) -> Saga:
        return saga(self.namespace, self.provider, **changes)

    async def up(self, **changes: Any) -> tuple[Result, Seen]:
        """What the run ended with, and what is there then."""
        result = await ended(up(self.saga(**changes)))
        return result, self.cluster.seen(self.namespace)


async def test_up_again_updated_put_back_and_down(
    cluster: Cluster,
    provider: dict[str, str],
    namespace: str,
    said_to_pulumi: Path,
    tmp_path: Path,
) -> None:
    """One deployment through all that happens to it."""
    life = Life(cluster, provider, namespace)
    first = await comes_up(life)
    hidden = [PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), digest_of(first)]
    files = contents(tmp_path, Path.home())
    assert {said_to_pulumi, tmp_path / ".alma" / "journal.db"} <= files.keys()
    assert [p for p, content in files.items() if any(h.encode() in content for h in hidden)] == []

    await changes_nothing(life, first)
    second = await is_updated(life, first)
    await is_put_back(life, second)
    down = await ended(destroy(life.saga()))
    assert down.state is SagaState.COMPLETED, down.error
    assert cluster.left(namespace) == []


async def comes_up(life: Life) -> Seen:
    """The pods are ready when it says so, and what one step made has reached the others."""
    result, seen = await life.up()
    assert result.state is SagaState.COMPLETED, result.error
    assert result.outputs["app"]["url"] == f"http://app.{life.namespace}:80"
    assert seen["namespace"]["metadata"]["labels"]["team"] == "blue"
    assert seen["deployment"]["status"]["readyReplicas"] == 2
    assert sum(len(subset["addresses"]) for subset in seen["endpoints"]["subsets"]) == 2
    assert host_of(seen) == "app.example.com"
    # The password went from the config to the cluster, its digest from one step to the next.
    assert base64.b64decode(seen["secret"]["data"]["PASSWORD"]).decode() == PASSWORD
    assert result.outputs["settings"]["digest"].value == digest_of(seen)
    return seen


async def changes_nothing(life: Life, first: Seen) -> None:
    """The same once more."""
    result, seen = await life.up()
    assert result.state is SagaState.COMPLETED, result.error
    assert [set(result.status.steps[name].changes) for name in STEPS] == [{"same"}] * len(STEPS)
    assert (
        seen["deployment"]["metadata"]["generation"]
        == first["deployment"]["metadata"]["generation"]
    )


async def is_updated(life: Life, first: Seen) -> Seen:
    """In place; other settings bring other pods."""
    result, seen = await life.up(replicas=3, data={"LOG_LEVEL": "debug"})
    assert result.state is SagaState.COMPLETED, result.error
    assert uid_of(seen, "deployment") == uid_of(first, "deployment")
    status = seen["deployment"]["status"]
    assert status["readyReplicas"] == status["updatedReplicas"] == 3
    assert seen["config map"]["data"] == {"LOG_LEVEL": "debug"}
    assert digest_of(seen) != digest_of(first)
    return seen


async def is_put_back(life: Life, before: Seen) -> None:
    """An update that fails at the last step; the namespace is the one that it was."""
    result, seen = await life.up(
        labels={"team": "red", "stage": "new"},
        data={"LOG_LEVEL": "trace", "NEW": "1"},
        replicas=1,
        host="Not A Host",
    )
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert result.failed_step == "ingress"
    assert uid_of(seen, "namespace") == uid_of(before, "namespace")
    assert seen["namespace"]["metadata"]["labels"] == before["namespace"]["metadata"]["labels"]
    assert seen["config map"]["data"] == {"LOG_LEVEL": "debug"}
    assert seen["secret"]["data"] == before["secret"]["data"]
    assert seen["deployment"]["spec"] == before["deployment"]["spec"]
    status = seen["deployment"]["status"]
    assert status.get("readyReplicas") == 3, status
    assert host_of(seen) == "app.example.com"


def uid_of(seen: Seen, kind: str) -> Any:
    return seen[kind]["metadata"]["uid"]


def host_of(seen: Seen) -> Any:
    return seen["ingress"]["spec"]["rules"][0]["host"]


def digest_of(seen: Seen) -> str:
    annotations = seen["deployment"]["spec"]["template"]["metadata"]["annotations"]
    return str(annotations[DIGEST])


def contents(*directories: Path) -> dict[Path, bytes]:
    """All files below these directories."""

    def files(directory: Path) -> Iterable[Path]:
        return (path for path in directory.rglob("*") if path.is_file())

    return {path: path.read_bytes() for directory in directories for path in files(directory)}
