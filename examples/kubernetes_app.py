"""An application on Kubernetes as one saga: namespace, settings, app, ingress.

    alma-pulumi up examples/kubernetes_app.py         # or: python examples/kubernetes_app.py
    alma-pulumi destroy examples/kubernetes_app.py

It needs pulumi-kubernetes (`pip install 'alma-pulumi[kubernetes]'`) and a cluster: the one that
KUBECONFIG or `~/.kube/config` names. The password comes from the variable APP_PASSWORD.
"""

from __future__ import annotations

import os
import sys

from alma import Retry, Saga, SagaFailed, Secret
from stacks.kubernetes import app, ingress, namespace, settings

saga = Saga("kubernetes-app")
space = saga.add_stack("namespace", program=namespace.program, config={"name": "kubernetes-app"})
values = saga.add_stack(
    "settings",
    program=settings.program,
    config={
        "data": {"GREETING": "hello", "LOG_LEVEL": "info"},
        # Secret config: it is in no journal, log or argument list, and encrypted in the state.
        "secrets": Secret({"PASSWORD": os.environ.get("APP_PASSWORD", "only-for-a-try")}),
    },
    inputs={"namespace": space.output("name")},
)
front = saga.add_stack(
    "app",
    program=app.program,
    config={"image": "nginx:1.27", "port": 80, "health_path": "/", "replicas": 2},
    inputs={
        "namespace": space.output("name"),
        "config_map": values.output("config_map"),
        "secret": values.output("secret"),
        # A secret output. It changes when a setting does, and then the pods are replaced.
        "digest": values.output("digest"),
    },
    # Pods that do not get ready in time fail the step, and everything is undone.
    retry=Retry(attempts=2, delay=5.0),
    timeout=900,
)
saga.add_stack(
    "ingress",
    program=ingress.program,
    # Where no ingress controller runs, nobody would ever give it an address to wait for.
    config={"host": "app.example.com", "wait": False},
    inputs={
        "namespace": space.output("name"),
        "service": front.output("service"),
        "service_port": front.output("service_port"),
    },
)

if __name__ == "__main__":
    try:
        result = saga.run()
    except SagaFailed as failed:
        print(failed, file=sys.stderr)
        for left in failed.result.leftovers:
            print(f"left over: {left.stack} {left.urn} {left.reason}", file=sys.stderr)
        sys.exit(failed.exit_code)
    print(f"{result.state.name}: {result.outputs['ingress']['url']}")
    print(f"Take it down with  alma-pulumi destroy {__file__}")
