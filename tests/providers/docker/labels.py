"""Labels: a list of pairs to Pulumi, a map to Docker."""

from __future__ import annotations

from typing import Any


def labels_to(inputs: dict[str, Any]) -> dict[str, str]:
    """The labels for Docker."""
    return {pair["label"]: pair["value"] for pair in inputs.get("labels", ())}


def labels_of(found: dict[str, Any]) -> list[dict[str, str]]:
    """The labels of what Docker tells of a network, a volume or a container's config."""
    return [{"label": k, "value": v} for k, v in sorted((found.get("Labels") or {}).items())]
