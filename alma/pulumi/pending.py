"""Pending creates in a state: what became of them taken in, and until then what they need kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

from alma.core.operation import Operation
from alma.errors import BackendError
from alma.pulumi.cli import PulumiCli
from alma.pulumi.deployment import CREATING, PROVIDER_TYPE, Entry, entries_of, provider_of
from alma.pulumi.engine import StackRef


async def resolve_pending(
    reader: PulumiCli, ref: StackRef, found: Mapping[str, str], operation: Operation
) -> None:
    """Mend a state with pending creates: export it, resolve them, import; secrets stay encrypted.

    `pulumi refresh --clear-pending-creates` forgets them and `--import-pending-creates` loses
    them. Raises `BackendError` for a state that is gone or damaged.
    """
    document = await reader.deployment(ref, show_secrets=False)
    if document is None:
        raise BackendError(f"The stack {ref.project}/{ref.stack} is not there any more.")
    try:
        resolved = with_resolved(document, found)
    except (KeyError, TypeError) as error:
        raise BackendError(f"The state of {ref.project}/{ref.stack} is damaged.") from error
    await reader.replace(ref, resolved, operation)


def with_resolved(document: Mapping[str, Any], found: Mapping[str, str]) -> dict[str, Any]:
    """The document with its pending creates resolved: URN to physical id in `found`.

    A create that did happen becomes a resource with its id, which a destroy then deletes; one
    that is not in `found` never happened, and is dropped. Of a replacement the old
    resource is marked for deletion, as the engine does it. Other pending operations are dropped
    as well: their resource is in the state, and the next update or destroy repeats them.
    """
    mended = copy.deepcopy(dict(document))
    deployment = mended.get("deployment") or {}
    resources = deployment.setdefault("resources", [])
    known = {entry["urn"] for entry in resources} | found.keys()
    for operation in deployment.pop("pending_operations", None) or []:
        resource = operation["resource"]
        if operation["type"] != CREATING or resource["urn"] not in found:
            continue
        for old in resources:
            if old["urn"] == resource["urn"]:
                old["delete"] = True
        resource["id"] = found[resource["urn"]]
        # Its outputs were never told. A delete is given the outputs: the inputs are the best
        # there is, and for many providers they hold what a delete needs besides the id.
        resource.setdefault("outputs", copy.deepcopy(resource.get("inputs", {})))
        _forget_gone(resource, known)
        resources.append(resource)
    return mended


def _forget_gone(resource: dict[str, Any], known: Collection[str]) -> None:
    """Drop what the resource was made after, where an earlier undo has deleted that."""
    for field in ("dependencies", "propertyDependencies"):
        kept = resource.get(field)
        if isinstance(kept, dict):
            resource[field] = {
                key: [urn for urn in urns or [] if urn in known] for key, urns in kept.items()
            }
        elif kept:
            resource[field] = [urn for urn in kept if urn in known]
    if resource.get("deletedWith") not in known:
        resource.pop("deletedWith", None)


def needed_by_pending(
    document: Mapping[str, Any] | None, redact: Callable[[str], str]
) -> tuple[str, ...]:
    """URNs of the parents and providers of pending creates: nothing that is anywhere but here.

    Without them a state cannot take in what became of such a create, once that is known. Empty
    where one of them may not stand among a command's arguments.
    """
    deployment = (document or {}).get("deployment") or {}
    entries = {entry["urn"]: entry for entry in entries_of(deployment)}
    pending = deployment.get("pending_operations") or []
    waiting = [one["resource"] for one in pending if one["type"] == CREATING]
    found: dict[str, None] = {}
    while waiting:
        one = waiting.pop()
        for urn in (one.get("parent"), provider_of(one)[0]):
            if urn and urn in entries and urn not in found and _is_unreal(entries[urn]):
                found[urn] = None
                waiting.append(entries[urn])
    fit = all("*" not in urn and redact(urn) == urn for urn in found)
    return tuple(found) if fit else ()


def _is_unreal(entry: Entry) -> bool:
    return not entry.get("custom") or str(entry["type"]).startswith(PROVIDER_TYPE)
