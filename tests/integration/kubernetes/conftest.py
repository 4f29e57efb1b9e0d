"""A namespace of its own for each test, deleted when the test is over, whatever it did."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.kubernetes.cluster import Cluster
from tests.services.proxy import Proxy


@pytest.fixture
def cluster(kubernetes_api: Any) -> Cluster:
    """The cluster, past alma."""
    return Cluster(kubernetes_api.client())


@pytest.fixture
def provider(
    kubernetes_api: Any,
    kubernetes_plugin: str,  # noqa: ARG001 - it must be there
    pulumi_cli: Path,  # noqa: ARG001 - it must be there
) -> dict[str, str]:
    """The provider's config, as each step of a saga gets it."""
    return {
        "kubernetes:kubeconfig": str(kubernetes_api.kubeconfig),
        "kubernetes:context": kubernetes_api.context,
    }


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace that is not there; it and those that begin so go with the test."""
    name = f"alma-test-{secrets.token_hex(4)}"
    yield name
    for left in cluster.namespaces(name):
        cluster.delete_namespace(left)


@pytest.fixture
def proxy(
    kubernetes_api: Any, provider: dict[str, str], chaos: Callable[..., Proxy], tmp_path: Path
) -> Proxy:
    """A proxy in front of the API server, through which `provider` goes."""
    contents = yaml.safe_load(kubernetes_api.kubeconfig.read_text())
    cluster = contents["clusters"][0]["cluster"]
    proxy = chaos(cluster["server"], Path(cluster["certificate-authority"]))
    cluster["server"] = proxy.url
    through = tmp_path / "kubeconfig-through-the-proxy"
    through.write_text(yaml.safe_dump(contents))
    provider["kubernetes:kubeconfig"] = str(through)
    return proxy
