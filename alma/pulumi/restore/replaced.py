"""What an update has replaced but not deleted yet becomes what the stack has again.

The engine deletes replaced resources at the very end of an update, so one that failed has left
them in the state, marked for deletion: the database is still there, with its data. Here the
marks change sides, in the exported state; the update that follows deletes the replacement.
Resources that were let go by `retainOnDelete` exist as well, and come back into the state.
Imports no pulumi.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from alma.pulumi.deployment import (
    Entry,
    dependencies_of,
    is_registered,
    live,
    provider_of,
)


def released_urns(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """URNs of what the state does not know any more, but is taken for still there."""
    entries: list[dict[str, Any]] = current.get("resources") or []
    back = _taken_back(copy.deepcopy(entries), live(wanted), frozenset())
    held = {(entry["type"], entry.get("id")) for entry in entries}
    return tuple(one["urn"] for one in back if (one["type"], one.get("id")) not in held)


def take_back_replaced(
    current: Mapping[str, Any], wanted: Mapping[str, Any], gone: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """The current deployment so changed; None when there is nothing to change, or no order.

    Both are sealed: entries are moved and copied as they are, ciphertext included. What is
    `gone`, by URN, was let go but is not there any more.
    """
    changed = copy.deepcopy(dict(current))
    entries: list[dict[str, Any]] = changed.get("resources") or []
    before = live(wanted)
    kept, back = _kept(entries, before), _taken_back(entries, before, gone)
    if not (kept or back):
        return None
    for entry in back:
        _drop_dangling(entry, entries, before)
    ordered = _ordered(entries)
    if ordered is None:
        # What it referred to refers to it by now. The replay says anew what it needs.
        for entry in back:
            _keep_references(entry, set())
        ordered = _ordered(entries)
    return None if ordered is None else {**changed, "resources": ordered}


def _kept(entries: list[dict[str, Any]], before: Mapping[str, Entry]) -> bool:
    """Whether any was to be deleted before its replacement, and was let go: it is still there."""
    kept = False
    for entry in entries:
        old = before.get(entry["urn"], {})
        same = not entry.get("delete") and entry.get("id") == old.get("id")
        if same and old.get("retainOnDelete") and entry.pop("pendingReplacement", False):
            kept = True
    return kept


def _taken_back(
    entries: list[dict[str, Any]], before: Mapping[str, Entry], gone: frozenset[str]
) -> list[dict[str, Any]]:
    """Those that are the stack's own again, among the entries from here on."""
    now = {entry["urn"]: entry for entry in entries if not entry.get("delete")}
    back = []
    for urn, old in before.items():
        there = now.get(urn)
        if not (old.get("custom") and old.get("id") and is_registered(old)):
            continue
        if there is not None and there.get("id") == old["id"]:
            continue
        found = _waiting(entries, old) or (None if urn in gone else _let_go(entries, old))
        if found is None:
            continue
        if there is not None:
            there["delete"] = True
        found.pop("delete", None)
        back.append(found)
        if found not in entries:
            entries.append(found)
    return back


def _waiting(entries: list[dict[str, Any]], old: Entry) -> dict[str, Any] | None:
    for entry in entries:
        if entry.get("delete") and entry["type"] == old["type"] and entry.get("id") == old["id"]:
            # By its aliases it may have got the name of its replacement, which keeps that.
            entry.update({"urn": old["urn"], "parent": old.get("parent", "")})
            return entry
    return None


def _let_go(entries: list[dict[str, Any]], old: Entry) -> dict[str, Any] | None:
    if not old.get("retainOnDelete") or old.get("external"):
        return None
    held = {(entry["type"], entry.get("id")) for entry in entries}
    return None if (old["type"], old["id"]) in held else copy.deepcopy(dict(old))


def _drop_dangling(
    entry: dict[str, Any], entries: list[dict[str, Any]], before: Mapping[str, Entry]
) -> None:
    """Make it refer only to what is there: a state with other references cannot be imported.

    What the update has deleted for good is made again by the replay, after which it refers to
    that. A provider has nothing outside of the state, so it simply comes back.
    """
    urn, identity = provider_of(entry)
    providers = {one["urn"]: one for one in entries if not one.get("delete")}
    if urn and not any((one["urn"], one.get("id")) == (urn, identity) for one in entries):
        if urn not in providers:
            again = copy.deepcopy(dict(before[urn]))
            entries.append(again)
            _drop_dangling(again, entries, before)
            providers[urn] = again
        entry["provider"] = f"{urn}::{providers[urn]['id']}"
    _keep_references(entry, {one["urn"] for one in entries})


def _keep_references(entry: dict[str, Any], known: set[str]) -> None:
    for name in ("parent", "deletedWith"):
        if entry.get(name, "") not in known:
            entry.pop(name, None)
    for name in ("dependencies", "replaceWith"):
        if entry.get(name):
            entry[name] = [urn for urn in entry[name] if urn in known]
    if entry.get("propertyDependencies"):
        entry["propertyDependencies"] = {
            key: [urn for urn in urns or [] if urn in known]
            for key, urns in entry["propertyDependencies"].items()
        }


def _ordered(entries: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Each after what it refers to, otherwise as before; None when that cannot be.

    A reference by URN means the one that stays, where there is one; a provider is meant exactly.
    """
    by_urn: dict[str, int] = {}
    by_reference: dict[str, int] = {}
    for index, entry in enumerate(entries):
        by_reference[f"{entry['urn']}::{entry.get('id', '')}"] = index
        if entry["urn"] not in by_urn or not entry.get("delete"):
            by_urn[entry["urn"]] = index
    order: list[int] = []
    state: dict[int, bool] = {}

    def visit(index: int) -> bool:
        if index in state:
            return state[index]
        state[index] = False
        entry = entries[index]
        urn, identity = provider_of(entry)
        needed = {by_urn.get(other, -1) for other in dependencies_of(entry) - {urn}}
        if urn:
            needed.add(by_reference.get(f"{urn}::{identity}", -1))
        if -1 in needed or not all(visit(other) for other in sorted(needed - {index})):
            return False
        order.append(index)
        state[index] = True
        return True

    if not all(visit(index) for index in range(len(entries))):
        return None
    return [entries[index] for index in order]
