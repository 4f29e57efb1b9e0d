"""The schema of a stand-in, for programs in languages that ask for one before they run (YAML)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.providers.kind import Kind

ANY = {"$ref": "pulumi.json#/Any"}


def schema(name: str, version: str, kinds: Iterable[Kind]) -> dict[str, Any]:
    """The resource types with their properties, each of any type: check says what is wrong."""
    return {
        "name": name,
        "version": version,
        "resources": {kind.token: _resource(kind) for kind in kinds},
    }


def _resource(kind: Kind) -> Mapping[str, Any]:
    inputs = kind.inputs or frozenset()
    return {
        "inputProperties": dict.fromkeys(sorted(inputs), ANY),
        "properties": dict.fromkeys(sorted({*inputs, *(kind.outputs or ())}), ANY),
    }
