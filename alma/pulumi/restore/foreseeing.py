"""What a restore would do, found out by a preview of its replay. Imports no pulumi.

The preview runs over a copy of the state, in which the marks of replaced resources have changed
sides already, as they will have in the restore itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from alma.core.struct import Frozen
from alma.errors import AlmaError, BackendError
from alma.pulumi.deployment import PROVIDER_TYPE, Entry, entries_of, is_registered, is_root, live
from alma.pulumi.engine import (
    Difference,
    OperationResult,
    RestorePreview,
    RestoreRequest,
)
from alma.pulumi.reading import PulumiCli
from alma.pulumi.restore.assets import changed_files
from alma.pulumi.restore.plan import RestorePlan, plan, provider_config
from alma.pulumi.restore.replaced import reinstate
from alma.pulumi.snapshot import open_kept, take

RunReplay = Callable[
    [RestorePlan, Mapping[str, Any], Mapping[str, Any]], Awaitable[OperationResult]
]
"""Previews a replay, with this config, over this sealed document."""

_AGAIN: Final = frozenset({"create", "create-replacement", "replace"})
_AWAY: Final = frozenset({"delete", "delete-replaced"})


class RestorePreviewer(Frozen):
    """One look ahead. The fields are those of `alma.pulumi.restore.restore.Restoration`."""

    reader: PulumiCli
    root: Path | None
    directory: Path
    request: RestoreRequest
    play: RunReplay

    async def run(self) -> RestorePreview:
        """Preview it, without what the engine refuses until it refuses nothing more."""
        ref = self.request.ref
        wanted = await open_kept(self.reader, ref, self.request.document)
        document = await take(self.reader, self.root, ref)
        if document is None:
            raise BackendError(f"The stack {ref.project}/{ref.stack} is not there any more.")
        deployment = document["deployment"]
        if not deployment.get("pending_operations"):
            changed = reinstate(deployment, self.request.document["deployment"])
            document = {**document, "deployment": changed or deployment}
        current = await open_kept(self.reader, ref, document)
        stale = changed_files(wanted, current, self.directory)
        refused: dict[str, str] = {}
        while True:
            replay = plan(wanted, current, stale, refused)
            result = await self.play(replay, provider_config(wanted), document)
            new = {urn: why for urn, why in result.said.items() if urn not in refused}
            new = {urn: why for urn, why in new.items() if urn in live(wanted)}
            if not new:
                break
            refused |= new
        if result.failure is not None and not (refused or stale):
            raise AlmaError(
                f"What a restore of {ref.project}/{ref.stack} would change cannot be foreseen: "
                f"{result.failure.message}",
                hint=result.failure.hint,
            )
        return _sorted_out(wanted, current, result, {**stale, **refused})


def _sorted_out(
    wanted: Mapping[str, Any],
    current: Mapping[str, Any],
    result: OperationResult,
    reasons: Mapping[str, str],
) -> RestorePreview:
    old, now = live(wanted), live(current)
    operations: dict[str, set[str]] = {}
    for change in result.resources:
        operations.setdefault(change.urn, set()).add(change.op)
    updated, deleted, renewed = [], [], []
    for urn, words in operations.items():
        entry = old.get(urn) or now.get(urn)
        if entry is None or urn in reasons or not _is_telling(entry):
            continue
        one = Difference(urn=urn, id=now.get(urn, entry).get("id", ""), reason="")
        if words & _AGAIN:
            renewed.append(one)
        elif "update" in words:
            updated.append(one)
        elif words & _AWAY:
            deleted.append(one)
    return RestorePreview(
        updated=tuple(updated),
        deleted=tuple(one for one in deleted if not now.get(one.urn, {}).get("retainOnDelete")),
        renewed=tuple(renewed),
        unlike=(
            *(_named(now.get(urn) or old[urn], why) for urn, why in reasons.items()),
            *_left(old, current),
        ),
    )


def _left(old: Mapping[str, Entry], current: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What was made since and will not be deleted, and what nobody saw the end of."""
    left = []
    ids = {(entry["type"], entry.get("id")) for entry in old.values()}
    for entry in entries_of(current):
        if entry["urn"] in old or (entry["type"], entry.get("id")) in ids:
            continue
        if not is_registered(entry) or not _is_telling(entry) or entry.get("external"):
            continue
        if entry.get("protect"):
            left.append(_named(entry, "made since, and protected against its deletion"))
        elif entry.get("retainOnDelete"):
            left.append(_named(entry, "made since, and kept by its own option retainOnDelete"))
    for operation in current.get("pending_operations") or []:
        what = f"its operation was cut off while {operation.get('type', 'at work')}"
        left.append(_named(operation["resource"], what))
    return tuple(left)


def _is_telling(entry: Entry) -> bool:
    """Whether there is something outside: not the stack, a component or a provider."""
    own = not is_root(entry) and not entry["type"].startswith(PROVIDER_TYPE)
    return own and bool(entry.get("custom"))


def _named(entry: Entry, why: str) -> Difference:
    return Difference(urn=entry["urn"], id=entry.get("id", ""), reason=why)
