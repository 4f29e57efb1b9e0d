"""A failure at each step in turn: whatever has started by then is gone from the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.kubernetes.app import STEPS
from tests.integration.kubernetes.cluster import Cluster, patiently
from tests.integration.kubernetes.command import Ended, side_by_side, up

if TYPE_CHECKING:
    import pytest

SAGA = """
from kubernetes.config import new_client_from_config
from tests.integration.kubernetes.app import saga as make
from tests.integration.kubernetes.cluster import Cluster, patiently

NAME, PROVIDER = {name!r}, {provider!r}


def meddle():
    client = new_client_from_config(*PROVIDER.values())
    Cluster(client).delete_deployment(NAME)


saga = make(NAME, PROVIDER, {change})
"""


@dataclass(frozen=True)
class Failure:
    """A saga that fails at `step`, by what is changed in it; its error tells what was `said`."""

    name: str
    step: str
    change: str
    said: str


NO_NODE = "node_selector={'disk': 'none'}"  # has such a label: the pods never run
FAILURES = [
    # Somebody else has a namespace of this name.
    Failure("theirs", "namespace", "", "already exists"),
    # Of two objects only one is refused: the other one is made, and undone.
    Failure("refused", "settings", "data={'not a key': 'x'}", "not a key"),
    # The deployment is there, and not ready in time.
    Failure("late", "app", f"{NO_NODE}, ready_within=3", "not ready within 3 s: 2 replicas wanted"),
    # As before, with somebody who does not want to wait for ten minutes.
    Failure("interrupted", "app", NO_NODE, "interrupted"),
    # Before the undo comes to the deployment, somebody has deleted it behind alma's back.
    Failure("meddled", "ingress", "host='Not A Host', undo_ingress=meddle", "Not A Host"),
]


def test_nothing_is_left_of_what_had_started_and_what_was_there_stays(
    cluster: Cluster,
    provider: dict[str, str],
    namespace: str,
    tmp_path: Path,
    stood_in: bool,
    subtests: pytest.Subtests,
) -> None:
    """Exit code 4, no leftover; at the API no namespace, and nothing in it."""

    def there() -> None:
        for _ in patiently("there is no deployment"):
            if cluster.deployment(f"{namespace}-interrupted"):
                return

    def run(failure: Failure) -> tuple[Ended, list[str]]:
        name = f"{namespace}-{failure.name}"
        text = SAGA.format(name=name, provider=provider, change=failure.change)
        until = there if failure.name == "interrupted" else None
        ended = up(tmp_path / failure.name, text, until=until)
        # At once: what alma calls undone is gone by now, and not a while after it.
        return ended, cluster.left(name)

    theirs = f"{namespace}-theirs"
    cluster.make_namespace(theirs, team="theirs")
    before = cluster.namespace(theirs)
    for failure, (ended, left) in side_by_side(run, FAILURES).items():
        with subtests.test(failure.name):
            assert ended.code == 4, ended.stderr
            assert ended.document["state"] == "COMPENSATED"
            assert ended.document["leftovers"] == []
            assert f'failed at step "{failure.step}"' in ended.stderr
            assert not stood_in or failure.said in ended.document["error"]
            states = {step["name"]: step["state"] for step in ended.document["steps"]}
            undone = STEPS[: STEPS.index(failure.step) + 1]
            assert {name for name in STEPS if states[name] == "COMPENSATED"} == set(undone)
            assert left == ([f"namespace {theirs}"] if failure.name == "theirs" else [])
    assert cluster.namespace(theirs) == before
