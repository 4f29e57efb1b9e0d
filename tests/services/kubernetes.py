"""A Kubernetes cluster of processes: the real control plane over etcd, and one simulated node."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.services.localstack import free_port
from tests.services.process import Process, started
from tests.toolchain import kubernetes as toolchain

if TYPE_CHECKING:
    import kubernetes

START = 180
"""Seconds; the control plane is up in eight where nothing else runs."""
CONTEXT = "alma-test"
NODE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1"}},
}


@dataclass(frozen=True)
class KubernetesApi:
    """Where it is; pods get scheduled and run as kwok says, with no container behind them."""

    path: str
    context: str = CONTEXT

    @property
    def kubeconfig(self) -> Path:
        """The file with address, authority and token of an administrator."""
        return Path(self.path)

    def client(self) -> kubernetes.client.ApiClient:
        """Return a client of the Kubernetes SDK, for `CoreV1Api(client)` and the like."""
        from kubernetes import config

        return config.new_client_from_config(self.path, context=self.context)


@dataclass(frozen=True)
class Access:
    """An administrator's way to the API server."""

    url: str
    authority: Path
    token: str

    def ask(self, path: str, body: object = None) -> dict[str, Any]:
        """Return what is there, or what was made of `body`.

        OSError when the server does not answer or refuses.
        """
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        trust = ssl.create_default_context(cafile=self.authority)
        with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def kubeconfig(self) -> dict[str, object]:
        """Return the content of a kubeconfig file."""
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        context = {"cluster": CONTEXT, "user": CONTEXT}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": CONTEXT, "user": {"token": self.token}}],
            "contexts": [{"name": CONTEXT, "context": context}],
            "current-context": CONTEXT,
        }


@contextmanager
def running(directory: Path) -> Iterator[KubernetesApi]:
    """Run a cluster with its data in `directory`, until a pod could start in it."""
    found = {path.name: path for place in toolchain.directories() for path in place.iterdir()}
    environment = {**os.environ, "HOME": str(directory)}
    environment.pop("KUBECONFIG", None)
    with ExitStack() as stack:

        def start(name: str, *options: str | Path) -> Process:
            command = [found[name], *options]
            return stack.enter_context(
                started(command, directory=directory, environment=environment)
            )

        store = f"http://127.0.0.1:{free_port()}"
        etcd = start("etcd", *etcd_options(directory / "etcd", store))
        etcd.wait_until(lambda: healthy(f"{store}/health"), START)

        port = free_port()
        certificates = directory / "certificates"
        token = secrets.token_hex(16)
        tokens = directory / "tokens.csv"
        tokens.touch(0o600)
        tokens.write_text(f'{token},admin,admin,"system:masters"\n')
        api = start("kube-apiserver", *api_options(port, store, certificates, tokens))
        access = Access(f"https://127.0.0.1:{port}", certificates / "apiserver.crt", token)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(json.dumps(access.kubeconfig()))
        api.wait_until(lambda: bool(access.ask("/api/v1/namespaces/default")), START)

        # Each with no lock on being the leader, and no server of its own.
        alone = ("--kubeconfig", kubeconfig, "--leader-elect=false", "--secure-port=0")
        key = ("--service-account-private-key-file", certificates / "apiserver.key")
        authority = ("--root-ca-file", access.authority)
        # kwok tells of its node when that changes, not every ten seconds as a kubelet does: after
        # the 40 s that are the default, all pods would be unready for a moment.
        patience = "--node-monitor-grace-period=24h"
        controllers = start("kube-controller-manager", *alone, *key, *authority, patience)
        start("kube-scheduler", *alone)
        kwok = start("kwok", "--kubeconfig", kubeconfig, "--manage-all-nodes=true")
        access.ask("/api/v1/nodes", NODE)
        kwok.wait_until(lambda: node_is_ready(access), START)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        controllers.wait_until(lambda: bool(access.ask(account)), START)
        yield KubernetesApi(str(kubeconfig))


def etcd_options(data: Path, address: str) -> Sequence[str | Path]:
    """Return the options of an etcd with one member that nobody else can join."""
    peer = f"http://127.0.0.1:{free_port()}"
    return [
        *("--data-dir", data, "--listen-client-urls", address, "--advertise-client-urls", address),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"default={peer}"),
    ]


def api_options(port: int, store: str, certificates: Path, tokens: Path) -> Sequence[str | Path]:
    """Return the options of an API server that makes its own certificate in `certificates`."""
    # The certificate's key signs the tokens of service accounts too.
    key = certificates / "apiserver.key"
    return [
        *("--bind-address", "127.0.0.1", "--secure-port", str(port)),
        *("--cert-dir", certificates, "--token-auth-file", tokens, "--etcd-servers", store),
        *("--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC"),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-key-file", key, "--service-account-signing-key-file", key),
    ]


def healthy(url: str) -> bool:
    """Tell whether etcd answers and can be written to."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bool(json.load(answer)["health"] == "true")


def node_is_ready(access: Access) -> bool:
    """Tell whether the node takes pods."""
    node = access.ask(f"/api/v1/nodes/{NODE['metadata']['name']}")
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")
