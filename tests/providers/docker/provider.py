from __future__ import annotations

import os
from typing import Any

import docker
import requests
from docker.errors import DockerException

from tests.providers.base import Props, StandIn, table
from tests.providers.docker.container import Container
from tests.providers.docker.errors import sentence
from tests.providers.docker.image import RemoteImage
from tests.providers.docker.network import Network
from tests.providers.docker.volume import Volume

DEFAULT_HOST = "unix:///var/run/docker.sock"
PATIENCE = 60
"""Seconds for one answer of the daemon."""


class Daemon:
    """A client of the daemon, which is first asked when something is: not by a preview's create."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._client: docker.APIClient | None = None

    def __getattr__(self, name: str) -> Any:
        """Of docker-py's low-level client. Raises ConnectionError where nobody answers."""
        if self._client is None:
            try:
                self._client = docker.APIClient(self._host, version="auto", timeout=PATIENCE)
            except (DockerException, requests.RequestException) as error:
                raise ConnectionError(
                    f"the Docker daemon at {self._host} does not answer: {sentence(error)}. Start "
                    "it (systemctl start docker, or dockerd), or name another one by docker:host "
                    "in the config or by DOCKER_HOST in the environment"
                ) from error
        return getattr(self._client, name)


class Docker(StandIn):
    """The provider. Its kinds are given docker-py's low-level client."""

    name = "docker"
    kinds = table(Network(), Volume(), RemoteImage(), Container())
    settings = frozenset({"host"})

    def connect(self, config: Props) -> Daemon:
        """A client of the daemon."""
        return Daemon(config.get("host") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST)

    def explain(self, error: Exception) -> str | None:
        """What Docker says, or why it could not be asked."""
        known = DockerException, requests.RequestException, OSError, ValueError
        return sentence(error) if isinstance(error, known) else None


PROVIDER = Docker()
