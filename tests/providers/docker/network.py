from __future__ import annotations

from typing import Any

from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from tests.providers.base import Kind, Made, PartlyMadeError, Props
from tests.providers.docker.errors import in_doubt, remove, sentence
from tests.providers.docker.labels import labels_of, labels_to


class Network(Kind):
    """A network. Nothing of it can be changed in place. Its id is Docker's."""

    token = "docker:index/network:Network"
    inputs = frozenset(
        {"attachable", "driver", "internal", "ipamConfigs", "ipv6", "labels", "name", "options"}
    )
    outputs = frozenset({"driver", "internal", "ipamConfigs", "scope"})
    immutable = inputs
    autoname = "name"

    def equal(self, path: str, old: Any, new: Any) -> bool:
        """Labels are a set."""
        return same_set(old, new) if path == "labels" else super().equal(path, old, new)

    def create(self, api: Any, inputs: Props) -> Made:
        """Make it; with its name as the id when no answer tells whether it is there."""
        pools = [
            IPAMPool(
                subnet=pool.get("subnet"),
                gateway=pool.get("gateway"),
                iprange=pool.get("ipRange"),
            )
            for pool in inputs.get("ipamConfigs", ())
        ]
        try:
            made = api.create_network(
                inputs["name"],
                driver=inputs.get("driver"),
                options=inputs.get("options"),
                ipam=IPAMConfig(pool_configs=pools) if pools else None,
                check_duplicate=True,
                internal=inputs.get("internal", False),
                labels=labels_to(inputs),
                enable_ipv6=inputs.get("ipv6", False),
                attachable=inputs.get("attachable"),
            )
        except Exception as error:
            if in_doubt(error):
                raise PartlyMadeError(inputs["name"], {}, sentence(error)) from error
            raise
        return Made(made["Id"], self.read(api, made["Id"], inputs) or {})

    def drifted(self, api: Any, state: Props, inputs: Props) -> Any:  # noqa: ARG002
        """One that was in doubt when it was made is made again."""
        if "scope" not in state:
            yield "name"

    def read(self, api: Any, id_: str, state: Props) -> Props | None:  # noqa: ARG002
        """It as Docker has it."""
        try:
            found = api.inspect_network(id_)
        except NotFound:
            return None
        return {
            "name": found["Name"],
            "driver": found["Driver"],
            "internal": found["Internal"],
            "scope": found["Scope"],
            "labels": labels_of(found),
            "ipamConfigs": [
                {
                    theirs: pool[ours]
                    for theirs, ours in (("subnet", "Subnet"), ("gateway", "Gateway"))
                    if pool.get(ours)
                }
                for pool in found["IPAM"]["Config"] or ()
            ],
        }

    def delete(self, api: Any, id_: str, state: Props) -> None:  # noqa: ARG002
        """Remove it once no container is in it."""
        remove(lambda: api.remove_network(id_))


def same_set(old: Any, new: Any) -> bool:
    """Whether two lists hold the same items, in whatever order."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return bool(old == new)
    return len(old) == len(new) and all(item in old for item in new)
