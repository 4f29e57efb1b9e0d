"""What the stand-in decides by documents alone: readiness, names, and whose cluster it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.providers.kubernetes import ready
from tests.providers.kubernetes.api import ConfigError, connect
from tests.providers.kubernetes.naming import AUTONAMED, named

AVAILABLE = {"type": "Available", "status": "True"}
ALL_THERE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def deployment(observed: int = 3, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"generation": 3},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": observed, "conditions": [AVAILABLE], **status},
    }


@pytest.mark.parametrize(
    ("live", "lacks"),
    [
        (deployment(**ALL_THERE), ""),
        (deployment(observed=2, **ALL_THERE), "has not seen it"),
        (deployment(**{**ALL_THERE, "availableReplicas": 1}), "1 available"),
        # The old pods are still there, or the new ones are not yet.
        (deployment(**{**ALL_THERE, "replicas": 3}), "3 replicas"),
        (deployment(**{**ALL_THERE, "updatedReplicas": 1}), "1 updated"),
        (deployment(**ALL_THERE, conditions=[{**AVAILABLE, "status": "False"}]), "2 replicas"),
    ],
)
def test_a_deployment_is_ready_when_all_its_new_pods_are(live: Any, lacks: str) -> None:
    told = ready.deployment(live, [])
    assert bool(told) == bool(lacks)
    assert lacks in "".join(told)


def test_pods_tell_why_they_do_not_run() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pods = [
        {"status": {"conditions": [{**condition, "message": "0/1 nodes are available"}]}},
        {"status": {"containerStatuses": [{"name": "app", "state": {"waiting": waiting}}]}},
        {"status": {"containerStatuses": [{"name": "app", "state": {"running": {}}}]}},
    ]
    told = ready.deployment(deployment(), pods)
    assert told[1:] == ["ImagePullBackOff: no such image", "Unschedulable: 0/1 nodes are available"]


@pytest.mark.parametrize(
    ("spec", "endpoints", "settled", "is_ready"),
    [
        ({"selector": {"a": "b"}}, {"subsets": [{"addresses": [{}]}]}, False, True),
        ({"selector": {"a": "b"}}, {"subsets": [{"notReadyAddresses": [{}]}]}, True, False),
        ({"selector": {"a": "b"}}, {}, False, False),
        ({"selector": {"a": "b"}}, {}, True, True),  # a deployment of no replicas
        ({"selector": {"a": "b"}, "clusterIP": "None"}, None, False, True),
        ({"type": "ExternalName"}, None, False, True),
        ({"type": "LoadBalancer"}, None, True, False),
        ({}, None, False, True),  # endpoints are somebody else's business
    ],
)
def test_a_service_is_ready_when_its_pods_are(
    spec: Any, endpoints: Any, settled: bool, is_ready: bool
) -> None:
    assert (ready.service({"spec": spec}, endpoints, settled=settled) == []) is is_ready


def test_an_ingress_needs_an_address_and_its_services() -> None:
    backend = {"service": {"name": "app", "port": {"number": 80}}}
    live: dict[str, Any] = {"spec": {"rules": [{"http": {"paths": [{"backend": backend}]}}]}}
    assert len(ready.ingress(live, [])) == 2
    live["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    assert ready.ingress(live, []) == ["no matching service found for ingress rule: app"]
    assert ready.ingress(live, ["app"]) == []


def test_a_name_is_made_up_once_and_kept_and_a_given_one_wins() -> None:
    first = named({}, {"metadata": {"labels": {"a": "b"}}}, "app-1")
    assert first["metadata"]["name"] == "app-1"
    assert first["metadata"]["annotations"] == {AUTONAMED: "true"}
    assert named(first, {}, "app-2")["metadata"]["name"] == "app-1"
    given = {"metadata": {"name": "mine"}}
    assert named(first, given, "app-2") == given
    # What was named by hand and is so no more gets a name of its own.
    assert named(given, {}, "app-3")["metadata"]["name"] == "app-3"


KUBECONFIG = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u"}},
        {"name": "two", "context": {"cluster": "d", "user": "u", "namespace": "shop"}},
    ],
    "clusters": [
        {"name": "c", "cluster": {"server": "https://one.invalid"}},
        {"name": "d", "cluster": {"server": "https://two.invalid"}},
    ],
    "users": [{"name": "u", "user": {"token": "sesame"}}],
}


def test_the_cluster_is_that_of_the_setting_or_else_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path, or the contents; the context chooses, and brings the namespace."""
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(KUBECONFIG))
    by_path = connect(str(file), None, None)
    assert (by_path.url, by_path.namespace) == ("https://one.invalid", "default")
    by_contents = connect(json.dumps(KUBECONFIG), "two", None)
    assert (by_contents.url, by_contents.namespace) == ("https://two.invalid", "shop")
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert connect(None, "two", "other").namespace == "other"


@pytest.mark.parametrize(
    ("given", "context", "said"),
    [
        ("/nowhere/config", None, "there is no such file"),
        (json.dumps(KUBECONFIG), "three", "three"),
        ('{"users": [{"user": {"token": "sesame"', None, "no YAML or JSON object"),
        ('["sesame"]\n', None, "no YAML or JSON object"),
    ],
)
def test_a_kubeconfig_that_is_none_is_told_without_its_contents(
    given: str, context: str | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        connect(given, context, None)
    assert "sesame" not in str(caught.value)
