"""New values for old ones: what a resource that was made again says of itself has changed.

The inputs of others hold the old values (an id, an address), copied when they were made. Where a
property is known to depend on the resource, the old value in it becomes the new one, as the
program that made them would have it. Imports no pulumi.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from alma.pulumi.deployment import Entry, is_secret

_TELLING: Final = 8
"""Characters that an old value must have to be looked for inside of longer texts."""

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What a preview has in the place of a value to come (`UnknownStringValue` in Pulumi's SDKs)."""

Substitutions = Mapping[str, str]


def find_substitutions(old: Entry, identity: str, outputs: Any) -> dict[str, str]:
    """From old to new texts, by comparing an entry's id and outputs with those of now."""
    found: dict[str, str] = {}
    _differences(old.get("outputs") or {}, outputs or {}, found)
    if old.get("id") and old["id"] != identity:
        found[old["id"]] = identity or UNKNOWN
    return found


def substitute(tree: Any, texts: Substitutions) -> Any:
    """The tree with old texts replaced by new ones."""
    if not texts:
        return tree
    if isinstance(tree, str):
        return _renewed(tree, texts)
    if isinstance(tree, Mapping):
        if is_secret(tree) and "plaintext" in tree:
            content = substitute(json.loads(tree["plaintext"]), texts)
            return {**tree, "plaintext": json.dumps(content)}
        return {key: substitute(value, texts) for key, value in tree.items()}
    if isinstance(tree, list):
        return [substitute(value, texts) for value in tree]
    return tree


def substituted_inputs(entry: Entry, known: Mapping[str, Substitutions]) -> dict[str, Any]:
    """The entry's inputs, each with the new values of what it depends on (`known` by URN)."""
    tracked: Mapping[str, Any] = entry.get("propertyDependencies") or {}
    all_of_it = entry.get("dependencies") or []
    inputs: Mapping[str, Any] = entry.get("inputs") or {}
    return {
        key: substitute(value, merge(known, tracked.get(key) or ([] if tracked else all_of_it)))
        for key, value in inputs.items()
    }


def merge(known: Mapping[str, Substitutions], urns: Iterable[str]) -> dict[str, str]:
    """All that is renewed of these resources."""
    return {old: new for urn in urns for old, new in known.get(urn, {}).items()}


def _renewed(text: str, texts: Substitutions) -> str:
    if text in texts:
        return texts[text]
    telling = [old for old in texts if len(old) >= _TELLING and old in text]
    if not telling:
        return text
    # At once, longest first: what was put in is not looked at again.
    pattern = "|".join(re.escape(old) for old in sorted(telling, key=len, reverse=True))
    return re.sub(pattern, lambda found: texts[found[0]], text)


def _differences(old: Any, new: Any, found: dict[str, str]) -> None:
    old, new = _plain(old), _plain(new)
    if isinstance(old, str) and isinstance(new, str):
        if old and new and old != new:
            found[old] = new
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key, value in old.items():
            if key in new:
                _differences(value, new[key], found)
    elif isinstance(old, list) and isinstance(new, list):
        for left, right in zip(old, new, strict=False):
            _differences(left, right, found)


def _plain(value: Any) -> Any:
    """A secret's content, in a state's form or in that of the engine's answers."""
    while is_secret(value):
        value = json.loads(value["plaintext"]) if "plaintext" in value else value.get("value")
    return value
