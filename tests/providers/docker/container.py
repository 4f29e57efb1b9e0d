from __future__ import annotations

from typing import Any, ClassVar

from docker.errors import APIError, NotFound

from tests.providers.base import UNKNOWN, Kind, Made, PartlyMadeError, Props
from tests.providers.docker import container_api, image
from tests.providers.docker.container_state import found_of, wait_until_up
from tests.providers.docker.errors import in_doubt, sentence
from tests.providers.docker.network import same_set

# Docker can change these on a container that runs (`docker update`).
LIVE = frozenset({"cpuShares", "maxRetryCount", "memory", "restart"})
# These only say how the provider goes about it.
MANNERS = frozenset({"destroyGraceSeconds", "mustRun", "removeVolumes", "wait", "waitTimeout"})
# The official provider says that it updates them, and does nothing.
INERT = frozenset({"healthcheck", "init"})
FIXED = frozenset(
    {
        *("command", "entrypoints", "envs", "hostname", "image", "labels"),
        *("name", "networkMode", "networksAdvanced", "ports", "privileged", "readOnly"),
        *("stopSignal", "uploads", "user", "volumes", "workingDir"),
    }
)


class Container(Kind):
    """A container. Its id is Docker's."""

    token = "docker:index/container:Container"
    inputs = FIXED | INERT | LIVE | MANNERS
    outputs = frozenset({"bridge", "exitCode", "hostname", "networkDatas", "ports"})
    volatile = frozenset({"exitCode", "networkDatas"})
    immutable = FIXED
    autoname = "name"
    delete_first = True
    defaults: ClassVar[Props] = {
        "mustRun": True,
        "removeVolumes": True,
        "restart": "no",
        "waitTimeout": 60,
    }

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """Labels and variables are sets."""
        if path in ("labels", "envs"):
            return same_set(old, new)
        return super().equal(path, old, new)

    def planned(self, inputs: Props) -> Props:
        """Docker picks the ports of the host that are not given."""
        ports = [{"external": UNKNOWN, **port} for port in inputs.get("ports", ())]
        return {**super().planned(inputs), "ports": ports}

    def create(self, api: Any, inputs: Props) -> Made:
        """Make it, start it, and wait until it runs (with `wait`: until it is healthy).

        One that is there and did not come up is in the error, as is one that may be there.
        """
        id_ = inputs["name"]
        if image.RemoteImage().read(api, "", {"name": inputs["image"]}) is None:
            image.pull(api, inputs["image"], None)
        try:
            id_ = container_api.make(api, inputs)
        except Exception as error:
            if in_doubt(error):
                raise PartlyMadeError(id_, {}, sentence(error)) from error
            raise
        try:
            container_api.fill(api, id_, inputs)
            api.start(id_)
            wait_until_up(api, id_, inputs)
            return Made(id_, self.read(api, id_, inputs) or {})
        except Exception as error:
            raise PartlyMadeError(id_, {}, sentence(error)) from error

    def drifted(self, api: Any, state: Props, inputs: Props) -> Any:  # noqa: ARG002
        """One that did not come up when it was made is made again."""
        if "networkDatas" not in state:
            yield "image"

    def read(self, api: Any, id_: str, state: Props) -> Props | None:
        """It as Docker has it."""
        try:
            return found_of(api.inspect_container(id_), state)
        except NotFound:
            return None

    def update(self, api: Any, id_: str, old: Props, new: Props) -> Props:
        """Change what Docker can change on a container that is there."""
        if any(old.get(key, self.defaults.get(key)) != new.get(key) for key in LIVE):
            api.update_container(
                id_,
                cpu_shares=new.get("cpuShares"),
                mem_limit=container_api.megabytes(new.get("memory")),
                restart_policy=container_api.restart_policy(new),
            )
        return self.read(api, id_, new) or {}

    def delete(self, api: Any, id_: str, state: Props) -> None:
        """Stop it, with `destroyGraceSeconds` to end by itself, remove it, and see it gone."""
        try:
            api.stop(id_, timeout=state.get("destroyGraceSeconds") or 0)
            api.remove_container(id_, v=state.get("removeVolumes", True), force=True)
        except NotFound:
            return
        except APIError as error:
            if "already in progress" not in str(error.explanation):
                raise
        container_api.wait_until_gone(api, id_)
