"""The Docker daemon as it is, past alma and Pulumi, and the saga that the tests bring up on it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from docker.errors import APIError

from alma import Retry, Saga, Secret
from stacks.docker import busybox, database, network, proxy, servers
from stacks.local import web

if TYPE_CHECKING:
    import docker

TIERS = ("network", "database", "servers", "proxy")
PASSWORD = "canary-9c1f-not-to-be-seen"
# Without a check to wait for, it would be up for the moment before it ends.
ENDS = {"command": ["sh", "-c", "echo no heart; exit 7"], "health": ["CMD", "true"]}


@dataclass(frozen=True)
class World:
    """What is on the daemon of one saga, whose projects begin with `name`."""

    client: docker.DockerClient
    image: str
    name: str

    def containers(self) -> list[Any]:
        """Its containers, those that have ended too."""
        all_of_them = self.client.containers.list(all=True, ignore_removed=True)
        return [one for one in all_of_them if self._is_ours(one.labels)]

    def container(self, project: str) -> Any:
        """The one container of a step."""
        (found,) = (
            c for c in self.containers() if c.labels["pulumi.project"] == f"{self.name}-{project}"
        )
        return found

    def left(self) -> list[str]:
        """Everything that is there, by its name."""
        networks = [n for n in self.client.networks.list() if self._is_ours(n.attrs["Labels"])]
        volumes = [v for v in self.client.volumes.list() if self._is_ours(v.attrs["Labels"])]
        return [one.name for one in (*self.containers(), *networks, *volumes)]

    def clear(self) -> None:
        """Remove it all."""
        for container in self.containers():
            with suppress(APIError):
                container.remove(force=True)
        for one in (*self.client.networks.list(), *self.client.volumes.list()):
            if self._is_ours(one.attrs["Labels"]):
                one.remove()

    def _is_ours(self, labels: dict[str, str] | None) -> bool:
        return (labels or {}).get("pulumi.project", "").startswith(f"{self.name}-")

    def saga(
        self,
        *,
        upto: str = "proxy",
        bad: dict[str, Any] | None = None,
        row: str = "one row",
        retry: Retry | None = None,
        on_failure: str = "compensate",
        serving: bool = False,
    ) -> Saga:
        """The three tiers in their network, up to one of them, which is given `bad` as config.

        Only with `serving` does a tier wait until it answers: what fails need not.
        """
        saga = Saga(self.name, on_failure=on_failure)
        password = Secret(PASSWORD)
        tiers: list[tuple[Any, dict[str, Any], dict[str, tuple[str, str]]]] = [
            (network, {}, {}),
            (database, {**busybox.database(row), "password": password}, {}),
            (
                servers,
                {**busybox.server(), "count": 1},
                {
                    "db_host": ("database", "host"),
                    "db_port": ("database", "port"),
                    "db_password": ("database", "password"),
                },
            ),
            (proxy, busybox.proxy(), {"upstreams": ("servers", "urls")}),
        ]
        steps: dict[str, Any] = {}
        for name, (stack, config, wiring) in zip(TIERS, tiers, strict=True):
            common = {"image": self.image, **({} if serving else {"health": []})} if steps else {}
            inputs = {**wiring, "network": ("network", "name")} if steps else {}
            steps[name] = saga.add_stack(
                name,
                program=stack.program,
                config={**config, **common, **((bad or {}) if name == upto else {})},
                inputs={key: steps[step].output(output) for key, (step, output) in inputs.items()},
                retry=retry,
            )
            if name == upto:
                break
        return saga


def page(url: str) -> str:
    """What is served there."""
    status, _, body = web.request("GET", url)
    assert status == HTTPStatus.OK, body
    return body.decode().strip()


def hidden(secret: str, directory: Path, *noted: Path) -> bool:
    """Whether no process and no file shows it, the journal and those `noted` among them."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert set(noted) <= set(files)
    assert any(path.name == "journal.db" for path in files)
    shown = [path for path in files if secret.encode() in path.read_bytes()]
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    return not shown and not any(secret in line for line in lines)
