from __future__ import annotations

from typing import Any

from docker.errors import NotFound

from tests.providers.base import Kind, Made, PartlyMadeError, Props
from tests.providers.docker.errors import in_doubt, remove, sentence
from tests.providers.docker.labels import labels_of, labels_to
from tests.providers.docker.network import same_set


class Volume(Kind):
    """A volume. Nothing of it can be changed in place. Its id is its name."""

    token = "docker:index/volume:Volume"
    inputs = frozenset({"driver", "driverOpts", "labels", "name"})
    outputs = frozenset({"driver", "mountpoint"})
    immutable = inputs
    autoname = "name"

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """Labels are a set."""
        return same_set(old, new) if path == "labels" else super().equal(path, old, new)

    def create(self, api: Any, inputs: Props) -> Made:
        """Make it. Docker takes one of this name that is there already as made."""
        name = inputs["name"]
        try:
            api.create_volume(
                name,
                driver=inputs.get("driver"),
                driver_opts=inputs.get("driverOpts"),
                labels=labels_to(inputs),
            )
        except Exception as error:
            if in_doubt(error):
                raise PartlyMadeError(name, {}, sentence(error)) from error
            raise
        return Made(name, self.read(api, name, inputs) or {})

    def drifted(self, api: Any, state: Props, inputs: Props) -> Any:  # noqa: ARG002
        """One that was in doubt when it was made is made again."""
        if "mountpoint" not in state:
            yield "name"

    def read(self, api: Any, id_: str, state: Props) -> Props | None:  # noqa: ARG002
        """It as Docker has it."""
        try:
            found = api.inspect_volume(id_)
        except NotFound:
            return None
        return {
            "name": found["Name"],
            "driver": found["Driver"],
            "mountpoint": found["Mountpoint"],
            "labels": labels_of(found),
        }

    def delete(self, api: Any, id_: str, state: Props) -> None:  # noqa: ARG002
        """Remove it once no container uses it."""
        remove(lambda: api.remove_volume(id_))
