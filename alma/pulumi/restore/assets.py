"""Files that resources were made of, and whether they are still the ones. Imports no pulumi."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from alma.pulumi.checkpoint import SIGNATURE
from alma.pulumi.deployment import live

_ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
"""What marks an asset (`resource.AssetSig`)."""


def changed_files(
    wanted: Mapping[str, Any], current: Mapping[str, Any], directory: Path
) -> dict[str, str]:
    """By URN, what has to be made of a file again that is not the one it was made of.

    The state knows the file's hash alone. What is still as it was does not need it.
    """
    now = live(current)
    found = {}
    for urn, entry in live(wanted).items():
        inputs = entry.get("inputs") or {}
        if urn in now and now[urn].get("inputs") == inputs:
            continue
        for path, digest in _files(inputs):
            if not _is_that(directory / path, digest):
                found[urn] = f"it was made of the file {path}, which is not what it was then"
    return found


def _files(tree: Any) -> Iterator[tuple[str, str]]:
    """Path and hash of every asset that is a file."""
    if isinstance(tree, Mapping):
        if tree.get(SIGNATURE) == _ASSET and tree.get("path"):
            yield tree["path"], tree.get("hash", "")
        else:
            for value in tree.values():
                yield from _files(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _files(value)


def _is_that(path: Path, digest: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
