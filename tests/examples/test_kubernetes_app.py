from __future__ import annotations

import base64
from typing import Any

import pytest
from kubernetes import client

from tests.examples.conftest import Place

pytestmark = pytest.mark.lives

NAME = "kubernetes-app"


def test_kubernetes_app_runs_on_the_cluster_and_goes_again(
    place: Place,
    kubernetes_api: Any,
    kubernetes_plugin: str,  # noqa: ARG001 - it must be there
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a script, then taken down by the command line; the namespace is gone with all in it."""
    monkeypatch.setenv("KUBECONFIG", str(kubernetes_api.kubeconfig))
    monkeypatch.setenv("APP_PASSWORD", "swordfish-and-chips")
    access = kubernetes_api.client()
    core = client.CoreV1Api(access)
    ended = place.python("kubernetes_app.py")
    assert ended.returncode == 0, ended.stderr
    assert "COMPLETED: http://app.example.com/" in ended.stdout
    deployment = client.AppsV1Api(access).read_namespaced_deployment("app", NAME)
    assert deployment.status.ready_replicas == 2
    secret = core.read_namespaced_secret("app", NAME)
    assert base64.b64decode(secret.data["PASSWORD"]).decode() == "swordfish-and-chips"
    assert client.NetworkingV1Api(access).read_namespaced_ingress("app", NAME)
    assert place.alma("status")["outputs"]["settings"]["digest"] == "[secret]"

    down = place.alma("destroy", "kubernetes_app.py")
    assert down["state"] == "COMPLETED", down["error"]
    assert NAME not in [item.metadata.name for item in core.list_namespace().items]
    assert set(place.held().values()) == {0}
