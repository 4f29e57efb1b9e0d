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

from alma.engine.deployment import (
    Entry,
    dependencies_of,
    is_default_provider,
    is_registered,
    live,
    provider_of,
)


def reinstate(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The current deployment so changed; None when there is nothing to change, or no order.

    Both are sealed: entries are moved and copied as they are, ciphertext included.
    """
    changed = copy.deepcopy(dict(current))
    entries: list[dict[str, Any]] = changed.get("resources") or []
    now = {entry["urn"]: entry for entry in entries if not entry.get("delete")}
    touched = False
    for urn, old in live(wanted).items():
        if not old.get("custom") or not old.get("id") or is_default_provider(old):
            continue
        there = now.get(urn)
        if not is_registered(old):
            continue
        if there is not None and there.get("id") == old["id"]:
            # Deleted before its replacement could be made; or let go, and then it is still there.
            if old.get("retainOnDelete") and there.pop("pendingReplacement", False):
                touched = True
            continue
        found = _waiting(entries, old) or _let_go(entries, old)
        if found is None:
            continue
        touched = True
        if there is not None:
            there["delete"] = True
        found.pop("delete", None)
        if found not in entries:
            entries.append(found)
    ordered = _ordered(entries) if touched else None
    if ordered is None:
        return None
    return {**changed, "resources": ordered}


def _waiting(entries: list[dict[str, Any]], old: Entry) -> dict[str, Any] | None:
    for entry in entries:
        if entry.get("delete") and entry["type"] == old["type"] and entry.get("id") == old["id"]:
            return entry if entry["urn"] == old["urn"] else None
    return None


def _let_go(entries: list[dict[str, Any]], old: Entry) -> dict[str, Any] | None:
    if not old.get("retainOnDelete") or old.get("external"):
        return None
    held = {(entry["type"], entry.get("id")) for entry in entries}
    return None if (old["type"], old["id"]) in held else copy.deepcopy(dict(old))


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
