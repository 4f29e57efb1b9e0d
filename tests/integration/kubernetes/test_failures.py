"""A failure at each step in turn: whatever has started by then is gone from the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alma import Saga, SagaState
from alma.runner import up
from stacks.kubernetes import namespace as space
from stacks.kubernetes import settings
from tests.integration.kubernetes.app import STEPS, ended
from tests.integration.kubernetes.cluster import Cluster, patiently
from tests.integration.kubernetes.command import Ended, side_by_side
from tests.integration.kubernetes.command import up as up_by_command

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
    # Somebody else has a namespace of this name, with a label of its own.
    Failure("theirs", "namespace", "", "conflict"),
    # Of two objects only one is refused: the other one is made, and undone.
    Failure("refused", "settings", "data={'not a key': 'x'}", "not a key"),
    # The deployment is there, and not ready in time.
    Failure("late", "app", f"{NO_NODE}, ready_within=3", "number of live Pods was not attained"),
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
        told = up_by_command(tmp_path / failure.name, text, until=until)
        # At once: what alma calls undone is gone by now, and not a while after it.
        return told, cluster.left(name)

    theirs = f"{namespace}-theirs"
    cluster.make_namespace(theirs, team="theirs")
    before = cluster.namespace(theirs)
    for failure, (told, left) in side_by_side(run, FAILURES).items():
        with subtests.test(failure.name):
            assert told.code == 4, told.stderr
            assert told.document["state"] == "COMPENSATED"
            assert told.document["leftovers"] == []
            assert f'failed at step "{failure.step}"' in told.stderr
            assert failure.said in told.document["error"]
            states = {step["name"]: step["state"] for step in told.document["steps"]}
            undone = STEPS[: STEPS.index(failure.step) + 1]
            assert {name for name in STEPS if states[name] == "COMPENSATED"} == set(undone)
            assert left == ([f"namespace {theirs}"] if failure.name == "theirs" else [])
    assert cluster.namespace(theirs) == before


async def test_a_namespace_that_somebody_else_has_made_stays(
    cluster: Cluster, provider: dict[str, str], namespace: str
) -> None:
    """An apply that meets no other one's label takes it over; the run's own config map is gone."""

    def broken() -> None:
        raise RuntimeError("asked to")

    cluster.make_namespace(namespace, team="theirs")
    for _ in patiently("the second does not pass"):
        if cluster.age(namespace) > 1:
            break
    made = Saga(namespace)
    made.add_stack("namespace", program=space.program, config={**provider, "name": namespace})
    inputs = {**provider, "namespace": namespace}
    made.add_stack("settings", program=settings.program, config=inputs)
    made.add_step("broken", action=broken, compensation="none")
    result = await ended(up(made))
    assert result.state is SagaState.FAILED
    [left] = result.leftovers
    assert left.id == namespace
    assert "was there before this run (its cluster had it before)" in left.reason
    assert cluster.left(namespace) == [f"namespace {namespace}"]
