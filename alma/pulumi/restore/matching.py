"""Which resource of now is which of before, and what else stays with them. Imports no pulumi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alma.pulumi.deployment import Entry, dependencies_of, is_registered, is_root, provider_of


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
