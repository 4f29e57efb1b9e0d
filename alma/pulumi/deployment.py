"""A deployment as `pulumi stack export` gives it: entries, special values, secrets opened or not.

Imports no pulumi. An entry is a resource as the state holds it (`apitype.ResourceV3`). In an
*opened* deployment each secret has its `plaintext` (JSON text) instead of its `ciphertext`: such
a one is kept in memory alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from alma.pulumi.checkpoint import ROOT_TYPE, SECRET_SIGNATURE, SIGNATURE

Entry = Mapping[str, Any]

PROVIDER_TYPE: Final = "pulumi:providers:"
DEFAULTS: Final = "__defaults"
"""Where bridged providers note which inputs are defaults of their own (tfbridge)."""
_CODE: Final = "__provider"
"""The input that holds a dynamic provider's pickled code: secret, and long."""


def entries_of(deployment: Mapping[str, Any]) -> list[Entry]:
    """All entries, the root and those that wait for their deletion included."""
    return list(deployment.get("resources") or [])


def live(deployment: Mapping[str, Any]) -> dict[str, Entry]:
    """By URN the entries that are there to stay, in the state's order."""
    return {entry["urn"]: entry for entry in entries_of(deployment) if not entry.get("delete")}


def is_root(entry: Entry) -> bool:
    """Whether it is the stack itself, which holds the stack's outputs."""
    return bool(entry["type"] == ROOT_TYPE)


def is_default_provider(entry: Entry) -> bool:
    """Whether the engine makes it by itself (`providers.IsDefaultProvider` in its source)."""
    return entry["type"].startswith(PROVIDER_TYPE) and name_of(entry["urn"]).startswith("default")


def is_registered(entry: Entry) -> bool:
    """Whether a program registers it: not what a provider or the engine adds by itself."""
    made = entry.get("viewOf") or entry.get("snippetID") or is_default_provider(entry)
    return not made and not entry.get("delete")


def name_of(urn: str) -> str:
    """The name, which may hold `::` itself."""
    return urn.split("::", 3)[3]


def provider_of(entry: Entry) -> tuple[str, str]:
    """URN and id of its provider; empty when it has none."""
    urn, _, identity = str(entry.get("provider", "")).rpartition("::")
    return urn, identity


def dependencies_of(entry: Entry) -> set[str]:
    """URNs of all that must be there before it."""
    urns = {entry.get("parent", ""), entry.get("deletedWith", ""), provider_of(entry)[0]}
    urns.update(entry.get("dependencies") or [])
    urns.update(entry.get("replaceWith") or [])
    for several in (entry.get("propertyDependencies") or {}).values():
        urns.update(several or [])
    return urns - {""}


def is_secret(value: Any) -> bool:
    """Whether it is a secret in a state's form."""
    return isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET_SIGNATURE


def has_ciphertext(tree: Any) -> bool:
    """Whether any secret in it is still encrypted."""
    if isinstance(tree, Mapping):
        if is_secret(tree):
            return "plaintext" not in tree
        return any(has_ciphertext(value) for value in tree.values())
    return isinstance(tree, list) and any(has_ciphertext(value) for value in tree)


def opened(tree: Any) -> Any:
    """The tree with each secret as `[signature, content]`, to be compared."""
    if is_secret(tree):
        return [SECRET_SIGNATURE, opened(json.loads(tree["plaintext"]))]
    if isinstance(tree, Mapping):
        return {key: opened(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [opened(value) for value in tree]
    return tree


def without_defaults(tree: Any) -> Any:
    """The inputs without those that the provider had put there itself, which it does again."""
    if isinstance(tree, list):
        return [without_defaults(value) for value in tree]
    if not isinstance(tree, Mapping) or is_secret(tree):
        return tree
    marked = tree.get(DEFAULTS)
    dropped = {DEFAULTS, *marked} if isinstance(marked, list) else set()
    return {key: without_defaults(value) for key, value in tree.items() if key not in dropped}


def secret_values(deployment: Mapping[str, Any]) -> Iterator[Any]:
    """The contents of the secrets in an opened deployment, but for providers' code."""
    for entry in entries_of(deployment):
        for part in (entry.get("inputs"), entry.get("outputs")):
            yield from _contents(part)


def _contents(tree: Any) -> Iterator[Any]:
    if is_secret(tree):
        yield json.loads(tree["plaintext"])
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            if key != _CODE:
                yield from _contents(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _contents(value)
