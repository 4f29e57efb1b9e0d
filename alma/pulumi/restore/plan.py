"""What is registered again to bring a stack back to a snapshot: planned here, played in a worker.

Imports no pulumi. A restore is an `up` by the real engine whose program registers the entries of
the old deployment again. What only the update made is not registered, so the engine deletes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from alma.core.secret import Secret
from alma.pulumi.checkpoint import SIGNATURE
from alma.pulumi.deployment import (
    PROVIDER_TYPE,
    Entry,
    dependencies_of,
    is_default_provider,
    is_registered,
    is_root,
    live,
    provider_of,
    secret_values,
)

_INTERNAL = "__internal"
"""The input of a provider that says where its plugin is from (`internalKey` in the engine)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RestorePlan:
    """Opened entries in the order in which they are registered. Holds secrets: it has no repr.

    `plugins` are the inputs of default providers by URN. `aliases`: by URN, the one under which
    the resource is found now. `imported`: by URN, the id by which it was imported before, as far
    as it is still that resource. `relaxed`: entries that are registered without `ignoreChanges`
    and `replaceOnChanges`, so that their old inputs reach them, and in place. `deleted`: those of
    which nothing is left to protect: the engine makes no protected one anew.
    """

    entries: tuple[Entry, ...]
    plugins: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    imported: Mapping[str, str] = field(default_factory=dict)
    relaxed: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    impossible: Mapping[str, str] = field(default_factory=dict)
    """By URN, why an entry cannot be registered at all."""
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the hooks that its resources, and those that will be deleted, have: by kind."""
    secrets: tuple[Secret, ...] = ()
    """The contents of all secrets in it, to be kept out of logs and messages."""

    @property
    def strict(self) -> RestorePlan | None:
        """The same with every option as it was: what is left to do after this one, if anything."""
        if not (self.relaxed or self.deleted):
            return None
        return replace(self, relaxed=frozenset(), deleted=frozenset())


def plan(
    wanted: Mapping[str, Any],
    current: Mapping[str, Any],
    stale: Mapping[str, str],
    refused: Mapping[str, str],
) -> RestorePlan:
    """The replay that brings a stack from `current` to `wanted`; both are opened deployments.

    What the update made and protected cannot be deleted by the engine, which would stop there:
    it is registered as it is, so that all else is put back, and named afterwards. So is what is
    `stale`: it cannot be made as it was. What was `refused` is not registered again.
    """
    old = {urn: entry for urn, entry in live(wanted).items() if is_registered(entry)}
    now = live(current)
    aliases = renamed(old, {urn: entry for urn, entry in now.items() if urn not in old}, now)
    left = {urn for urn in stale if urn in now}
    extras = extras_to_keep(old, now, aliases, left)
    entries = [
        *(referring(now[urn], {}) if urn in left else entry for urn, entry in old.items()),
        *extras,
    ]
    return RestorePlan(
        entries=tuple(ordered(entries)),
        impossible={**{urn: why for urn, why in stale.items() if urn not in left}, **refused},
        plugins={
            entry["urn"]: entry.get("inputs") or {}
            for entry in (*live(current).values(), *live(wanted).values())
            if is_default_provider(entry)
        },
        aliases=aliases,
        imported={
            urn: entry["importID"]
            for urn, entry in old.items()
            if entry.get("importID") and _is_still(entry, now.get(urn))
        },
        relaxed=frozenset(urn for urn, entry in old.items() if _is_relaxed(entry, now.get(urn))),
        deleted=frozenset(
            urn
            for urn, entry in old.items()
            if entry.get("protect") and now.get(aliases.get(urn, urn), {}).get("pendingReplacement")
        ),
        hooks=_hooks((*old.values(), *now.values())),
        secrets=tuple(Secret(value) for one in (wanted, current) for value in secret_values(one)),
    )


def provider_config(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The stack config that configured the default providers, a `Secret` where it was one.

    A dynamic provider is given the project's own, under its full keys.
    """
    config: dict[str, Any] = {}
    for entry in live(wanted).values():
        if not is_default_provider(entry):
            continue
        package = entry["type"].removeprefix(PROVIDER_TYPE)
        for key, value in (entry.get("inputs") or {}).items():
            if key not in ("version", "pluginDownloadURL", _INTERNAL):
                secret = isinstance(value, Mapping) and "plaintext" in value
                full = key if ":" in key else f"{package}:{key}"
                config[full] = Secret(_text(value)) if secret else value
    return config


def _hooks(entries: Iterable[Entry]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for entry in entries:
        for kind, names in (entry.get("resourceHooks") or {}).items():
            found.setdefault(kind, {}).update(dict.fromkeys(names or ()))
    return {kind: tuple(names) for kind, names in found.items()}


def internal(plugin: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a provider's plugin is from: `pluginDownloadURL`, `name`, `parameterization`, ..."""
    found: Mapping[str, Any] = plugin.get(_INTERNAL, plugin)  # Old engines had it all in one.
    return found


def default_plugin(entry: Entry, replay: RestorePlan) -> Mapping[str, Any] | None:
    """The inputs of the entry's provider when that is a default one, which the engine chooses."""
    return replay.plugins.get(provider_of(entry)[0])


def _text(value: Mapping[str, Any]) -> Any:
    return json.loads(value["plaintext"])


def _is_still(entry: Entry, now: Entry | None) -> bool:
    if now is None or now.get("external"):
        return False
    return bool((now.get("importID") or now.get("id")) == entry["importID"])


def _is_relaxed(entry: Entry, now: Entry | None) -> bool:
    options = entry.get("ignoreChanges") or entry.get("replaceOnChanges")
    return bool(options) and now is not None and now.get("inputs") != entry.get("inputs")


def extras_to_keep(
    old: Mapping[str, Entry],
    now: Mapping[str, Entry],
    aliases: Mapping[str, str],
    left: set[str],
) -> list[Entry]:
    """Protected resources that only the update made, and what they and those `left` need."""
    names = {new: urn for urn, new in aliases.items()}
    kept: set[str] = set()
    todo = [urn for urn, entry in now.items() if entry.get("protect")]
    todo += [needed for urn in left for needed in dependencies_of(now[urn])]
    while todo:
        urn = todo.pop()
        entry = now.get(urn)
        if entry is None or urn in kept or urn in old or urn in names or not is_registered(entry):
            continue
        kept.add(urn)
        todo.extend(dependencies_of(entry))
    return [referring(entry, names) for urn, entry in now.items() if urn in kept]


def ordered(entries: list[Entry]) -> list[Entry]:
    """The root first, and each after what it needs; otherwise as they come."""
    by_urn = {entry["urn"]: entry for entry in entries}
    found: dict[str, Entry] = {}

    def visit(entry: Entry, path: tuple[str, ...] = ()) -> None:
        for urn in sorted(dependencies_of(entry)):
            if urn in by_urn and urn not in found and urn not in path:
                visit(by_urn[urn], (*path, entry["urn"]))
        found.setdefault(entry["urn"], entry)

    for entry in sorted(entries, key=lambda entry: not is_root(entry)):
        visit(entry)
    return list(found.values())


def referring(entry: Entry, names: Mapping[str, str]) -> Entry:
    """The entry with references to what gets its old name back."""

    def named(urns: Any) -> list[str]:
        return [names.get(urn, urn) for urn in urns or []]

    tracked: Mapping[str, Any] = entry.get("propertyDependencies") or {}
    urn, identity = provider_of(entry)
    return {
        **entry,
        "parent": names.get(entry.get("parent", ""), entry.get("parent", "")),
        "deletedWith": names.get(entry.get("deletedWith", ""), entry.get("deletedWith", "")),
        "provider": f"{names.get(urn, urn)}::{identity}" if urn else "",
        "dependencies": named(entry.get("dependencies")),
        "replaceWith": named(entry.get("replaceWith")),
        "propertyDependencies": {key: named(urns) for key, urns in tracked.items()},
    }


def renamed(
    old: Mapping[str, Entry], extras: Mapping[str, Entry], now: Mapping[str, Entry]
) -> dict[str, str]:
    """By old URN the one that the update gave the resource: by its aliases, else by its id."""
    missing = {urn: entry for urn, entry in old.items() if urn not in now}
    found: dict[str, str] = {}
    for urn, entry in extras.items():
        for alias in entry.get("aliases") or []:
            if alias in missing:
                found[alias] = urn
    by_id = {(entry["type"], entry["id"]): urn for urn, entry in extras.items() if entry.get("id")}
    for urn, entry in missing.items():
        same = by_id.get((entry["type"], entry.get("id", "")))
        if same and same not in found.values():
            found.setdefault(urn, same)
    for urn, new in list(found.items()):  # A component has no id: its children tell.
        parents = missing.get(old[urn].get("parent", "")), extras.get(now[new].get("parent", ""))
        if all(parents) and parents[1]["urn"] not in found.values():  # type: ignore[index]
            found.setdefault(parents[0]["urn"], parents[1]["urn"])  # type: ignore[index]
    return found


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
