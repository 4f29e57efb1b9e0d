from __future__ import annotations

from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from tests.providers.base import Kind, Made, Props
from tests.providers.docker.errors import sentence


class RemoteImage(Kind):
    """An image that is on the daemon, pulled if need be. The id is Docker's id and the name."""

    token = "docker:index/remoteImage:RemoteImage"
    inputs = frozenset({"forceRemove", "keepLocally", "name", "platform", "pullTriggers"})
    outputs = frozenset({"imageId", "repoDigest"})
    immutable = frozenset({"name", "platform", "pullTriggers"})

    def create(self, api: Any, inputs: Props) -> Made:
        """Find it, or pull it."""
        name = inputs["name"]
        found = self.read(api, "", inputs)
        if found is None:
            pull(api, name, inputs.get("platform"))
            found = self.read(api, "", inputs) or {}
        return Made(f"{found['imageId']}{name}", found)

    def read(self, api: Any, id_: str, state: Props) -> Props | None:  # noqa: ARG002
        """The image that has the name now. None can be imported: an id alone does not name it."""
        if not (name := state.get("name")):
            return None
        try:
            found = api.inspect_image(name)
        except ImageNotFound:
            return None
        digests = found.get("RepoDigests") or [""]
        return {"name": name, "imageId": found["Id"], "repoDigest": digests[0]}

    def update(self, api: Any, id_: str, old: Props, new: Props) -> Props:  # noqa: ARG002
        """What can change, `keepLocally` and `forceRemove`, matters only at the end."""
        return {}

    def delete(self, api: Any, id_: str, state: Props) -> None:  # noqa: ARG002
        """Remove it, unless it is to stay."""
        if state.get("keepLocally"):
            return
        try:
            api.remove_image(state["name"], force=state.get("forceRemove", False))
        except NotFound:
            return


def pull(api: Any, name: str, platform: str | None) -> None:
    """Pull an image. Raises ValueError with the daemon's reason."""
    tagged = "@" in name or ":" in name.rpartition("/")[2]
    # Without a tag the daemon would pull all there are.
    full = name if tagged else f"{name}:latest"
    try:
        events = list(api.pull(full, platform=platform, stream=True, decode=True))
    except APIError as error:
        events = [{"error": sentence(error)}]
    for event in events:
        if "error" in event:
            raise ValueError(f"there is no image {name}, and no pulling it: {event['error']}")
