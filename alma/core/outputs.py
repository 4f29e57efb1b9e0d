"""What a step hands out: checked to be JSON, and made fit for the journal."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from alma.core.secret import MASK, Secret, mask, secrets_in

LARGEST: Final = 64 * 1024
"""Bytes of JSON up to which one output is journaled whole; of a larger one a digest is kept."""

DIGEST_KEY: Final = "alma:sha256"


class NotJsonError(ValueError):
    """A value that JSON cannot hold; the message names where it is."""


def check_json(tree: Any, where: str = "the result") -> Any:
    """The tree as plain JSON types with `Secret`s kept; NotJsonError for anything else."""
    if isinstance(tree, Secret):
        return Secret(check_json(tree.value, where))
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str):
                raise NotJsonError(f"{where} has the key {key!r}, which is not a string")
        return {key: check_json(value, f"{where}[{key!r}]") for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [check_json(value, f"{where}[{index}]") for index, value in enumerate(tree)]
    if isinstance(tree, float) and not math.isfinite(tree):
        raise NotJsonError(f"{where} is {tree}, which JSON cannot hold")
    if tree is None or isinstance(tree, str | int | float | bool):
        return tree
    raise NotJsonError(f"{where} is of type {type(tree).__name__}, which JSON cannot hold")


def for_journal(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs masked, with a digest in place of each that is larger than `LARGEST`."""
    result = {}
    for name, value in outputs.items():
        text = json.dumps(mask(value), sort_keys=True)
        if len(text) > LARGEST:
            digest = hashlib.sha256(text.encode()).hexdigest()
            result[name] = {DIGEST_KEY: digest, "bytes": len(text)}
        else:
            result[name] = mask(value)
    return result


def is_whole(value: Any) -> bool:
    """Whether a value, live or from the journal, is all there: opened, unmasked, not digested."""
    if any(secret.is_sealed for secret in secrets_in(value)):
        return False
    if isinstance(value, Secret):
        return True
    if isinstance(value, Mapping):
        return DIGEST_KEY not in value and all(is_whole(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return all(is_whole(entry) for entry in value)
    return bool(value != MASK)
