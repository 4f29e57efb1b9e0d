from __future__ import annotations

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.services.kubernetes import KubernetesApi
from tests.waiting import until

NAMESPACE = "smoke"


def test_a_deployment_becomes_ready_and_its_namespace_goes(kubernetes_api: KubernetesApi) -> None:
    with kubernetes_api.client() as access:
        core, apps = client.CoreV1Api(access), client.AppsV1Api(access)
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        labels = {"app": "smoke"}
        deployment = {
            "metadata": {"name": "smoke"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}]},
                },
            },
        }
        apps.create_namespaced_deployment(NAMESPACE, deployment)

        def ready() -> bool:
            status = apps.read_namespaced_deployment("smoke", NAMESPACE).status
            return bool(status.ready_replicas == 2)

        until(ready, "two replicas")
        pods = core.list_namespaced_pod(NAMESPACE).items
        assert [pod.status.phase for pod in pods] == ["Running", "Running"]

        def gone() -> bool:
            try:
                core.read_namespace(NAMESPACE)
            except ApiException as error:
                return bool(error.status == 404)
            return False

        core.delete_namespace(NAMESPACE)
        until(gone, "no namespace")
        assert core.list_namespaced_pod(NAMESPACE).items == []
