"""Names and ids of objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AUTONAMED = "pulumi.com/autonamed"
"""The annotation that marks a name as made up, so that a replacement may take another one."""


def annotation(document: Mapping[str, Any], key: str) -> Any:
    """The value of an annotation, or None."""
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return annotations.get(key) if isinstance(annotations, Mapping) else None


def is_autonamed(document: Mapping[str, Any]) -> bool:
    """Whether the object's name is made up."""
    return bool(annotation(document, AUTONAMED) == "true")


def named(old: Mapping[str, Any], new: dict[str, Any], proposed: str) -> dict[str, Any]:
    """The new inputs with a name: their own, else the one made up before, else `proposed`."""
    metadata = dict(new.get("metadata") or {})
    if metadata.get("name"):
        return new
    metadata["name"] = old["metadata"]["name"] if is_autonamed(old) else proposed
    metadata["annotations"] = {**(metadata.get("annotations") or {}), AUTONAMED: "true"}
    return {**new, "metadata": metadata}


def id_of(live: Mapping[str, Any]) -> str:
    """The resource's id: `namespace/name`, or the name alone of what has no namespace."""
    metadata = live["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def parse_id(id_: str) -> tuple[str | None, str]:
    """Namespace, or None, and name."""
    namespace, _, name = id_.rpartition("/")
    return namespace or None, name
