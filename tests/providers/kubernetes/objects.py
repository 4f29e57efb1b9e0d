"""What all kinds of objects have in common: how they are made, read, changed and deleted."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from tests.providers.base import UNKNOWN, Kind, Made, PartlyMadeError, Props
from tests.providers.kubernetes import waiting
from tests.providers.kubernetes.api import MANAGER, Cluster
from tests.providers.kubernetes.naming import annotation, id_of, named, parse_id

IDENTITY = frozenset({"metadata.name", "metadata.namespace"})


class Object(Kind):
    """A kind of object. Subclasses say where the API has it, and when it is ready."""

    api_version: ClassVar[str]
    plural: ClassVar[str]
    namespaced: ClassVar[bool] = True
    inputs = frozenset({"apiVersion", "kind", "metadata", "spec"})
    outputs = frozenset({"metadata", "status"})
    volatile = outputs
    immutable = IDENTITY
    maps = frozenset()

    def missing(self, api: Cluster, live: Props, passed: float) -> list[str]:  # noqa: ARG002
        """What it still lacks to be ready, in words, `passed` seconds after it was made."""
        return []

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of one object, or of the collection, below the server's URL."""
        parts = ["/apis" if "/" in self.api_version else "/api", self.api_version]
        if self.namespaced:
            parts += ["namespaces", quote(namespace or "default", safe="")]
        return "/".join([*parts, self.plural, *([quote(name, safe="")] if name else [])])

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        """The server checks the rest; these would go to a wrong place."""
        kind = self.token.rpartition(":")[2]
        for key, right in (("apiVersion", self.api_version), ("kind", kind)):
            if inputs.get(key, right) != right:
                yield key, f"must be {right}, not {inputs[key]}"
        metadata = inputs.get("metadata", {})
        if not isinstance(metadata, dict) and metadata != UNKNOWN:
            yield "metadata", "must be an object"
        elif isinstance(metadata, dict) and metadata.get("generateName"):
            yield "metadata.generateName", "is not supported by server-side apply"

    def complete(self, old: Props, new: Props, name: str, seed: bytes) -> Props:
        """The inputs with a name; the urn's name and eight digits where there is none."""
        chance = hashlib.sha256(seed).hexdigest()[:8] if seed else secrets.token_hex(4)
        return named(old, new, f"{name}-{chance}")

    def create(self, api: Cluster, inputs: Props) -> Made:
        """POST it, and wait until it is ready."""
        namespace = inputs["metadata"].get("namespace") or api.namespace
        live = api.create(self.path(namespace), self._body(inputs))
        return Made(id_of(live), self._ready(api, inputs, live))

    def read(self, api: Cluster, id_: str, state: Props) -> Props | None:
        """GET it."""
        live = api.get(self.path(*parse_id(id_)))
        return None if live is None else self.found(live, state)

    def found(self, live: Props, state: Props) -> Props:  # noqa: ARG002 - for subclasses
        """What of the live object is input or output."""
        return {key: live[key] for key in (self.inputs or ()) | self.outputs if key in live}

    def update(self, api: Cluster, id_: str, old: Props, new: Props) -> Props:  # noqa: ARG002
        """Apply the inputs: what was in them before and is no more goes away."""
        path = self.path(*parse_id(id_))
        if (live := api.get(path)) is None:
            raise LookupError(f"{path} is gone: somebody has deleted it; refresh the stack")
        owned = [{**one, "operation": "Apply"} if _by_create(one) else one for one in _owners(live)]
        if owned != _owners(live):
            # Fields that the create set are owned by an update: an apply would never remove them.
            version = live["metadata"]["resourceVersion"]
            api.patch(
                path,
                [
                    {"op": "replace", "path": "/metadata/managedFields", "value": owned},
                    {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                ],
            )
        force = annotation(new, "pulumi.com/patchForce") == "true"
        live = api.apply(path, self._body(new), force=force)
        return self._ready(api, new, live)

    def delete(self, api: Cluster, id_: str, state: Props) -> None:
        """DELETE it with all that belongs to it, and wait until it is gone."""
        path = self.path(*parse_id(id_))
        uid = state.get("metadata", {}).get("uid")
        api.delete(path)

        def there(live: Props | None, _passed: float) -> list[str]:
            if live is None or (uid and live["metadata"]["uid"] != uid):
                return []
            held = live["metadata"].get("finalizers") or live.get("spec", {}).get("finalizers")
            return [f"it is still there{f', held by {held}' if held else ''}"]

        waiting.until(api, path, there, waiting.seconds(state))

    def _body(self, inputs: Props) -> Props:
        kind = self.token.rpartition(":")[2]
        return {**inputs, "apiVersion": self.api_version, "kind": kind}

    def _ready(self, api: Cluster, inputs: Props, live: Props) -> Props:
        """The outputs once it is ready. Raises PartlyMadeError with what there is otherwise."""
        if not waiting.skipped(inputs):
            path = self.path(live["metadata"].get("namespace"), live["metadata"]["name"])

            def lacks(now: Props | None, passed: float) -> list[str]:
                return self.missing(api, now, passed) if now else ["somebody has deleted it"]

            try:
                live = waiting.until(api, path, lacks, waiting.seconds(inputs)) or live
            except waiting.NotInTimeError as error:
                outputs = self.found(error.live or live, inputs)
                raise PartlyMadeError(id_of(live), outputs, str(error)) from error
        return self.found(live, inputs)


def _owners(live: Props) -> list[Props]:
    return list(live["metadata"].get("managedFields") or ())


def _by_create(owner: Props) -> bool:
    return (owner["manager"], owner["operation"], owner.get("subresource", "")) == (
        MANAGER,
        "Update",
        "",
    )
