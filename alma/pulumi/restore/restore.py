"""Bringing a stack back to a snapshot, done or previewed: take back, replay, compare.

Every part can be repeated: a restore that was cut off is made again from the beginning, from
what the state shows then, and comes to the same end. Its preview runs over a copy of the state,
in which the marks of replaced resources have changed sides already. Imports no pulumi.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from alma.core.events import Failure
from alma.core.operation import Difference, Operation
from alma.errors import AlmaError, BackendError
from alma.pulumi.cli import PulumiCli
from alma.pulumi.deployment import (
    PROVIDER_TYPE,
    Entry,
    dependencies_of,
    entries_of,
    is_registered,
    is_root,
    live,
    open_current,
    open_kept,
    take_deployment,
)
from alma.pulumi.engine import OperationResult, RestorePreview, RestoreRequest, RestoreResult
from alma.pulumi.plugins import require_python
from alma.pulumi.restore.compare import Comparison, compare
from alma.pulumi.restore.plan import RestorePlan, changed_files, ordered, plan, provider_config
from alma.pulumi.restore.replaced import released_urns, take_back_replaced

RunReplay = Callable[[RestorePlan, Mapping[str, Any]], Awaitable[OperationResult]]
AskProviders = Callable[[Mapping[str, Any], tuple[str, ...]], Awaitable[frozenset[str]]]
"""Which of these URNs of this sealed document are not there any more, by their providers."""


class Restoration(Struct, frozen=True, kw_only=True):
    """One restore. `root` is the file backend's directory, or None.

    `directory` is where programs run: relative paths of assets are meant from there. `play` runs
    a replay, `look` asks providers what there is, both for `operation`.
    """

    reader: PulumiCli
    root: Path | None
    directory: Path
    request: RestoreRequest
    operation: Operation
    play: RunReplay
    look: AskProviders

    async def run(self) -> RestoreResult:
        """Do it, and judge by the state what came of it.

        The engine stops where it refuses a step before it takes it, as it does with a protected
        resource that would be replaced: what is independent of that is tried again without it.
        """
        wanted = await open_kept(self.reader, self.request.ref, self.request.document)
        refused: dict[str, str] = {}
        result, found = await self._attempt(wanted, refused)
        failure = result.failure
        while blamed := _in_the_way(wanted, result, found, refused):
            refused.update(blamed)
            again, found = await self._attempt(wanted, refused)
            result = _both(result, again)
        if not found.different:
            failure = None  # The state decides, not the exit code.
        elif failure is None:
            failure = Failure(
                kind="unverified",
                message=f"{len(found.different)} resources are not as they were before: "
                f"{found.different[0].reason}",
                urn=found.different[0].urn,
            )
        return RestoreResult(
            failure=failure,
            changes=result.changes,
            resources=result.resources,
            said=result.said,
            recreated=tuple(found.recreated),
            different=tuple(found.different),
        )

    async def _attempt(
        self, wanted: Mapping[str, Any], refused: Mapping[str, str]
    ) -> tuple[OperationResult, Comparison]:
        ref = self.request.ref
        gone = await self._take_back()
        current = await open_current(self.reader, self.root, ref)
        stale = changed_files(wanted, current, self.directory)
        replay = plan(wanted, current, stale, refused)
        config = provider_config(wanted)
        result = await self.play(replay, config)
        if result.failure is None and replay.strict is not None:
            result = _both(result, await self.play(replay.strict, config))
        after = await open_current(self.reader, self.root, ref)
        return result, compare(wanted, after, {**stale, **result.said, **refused}, gone)

    async def _take_back(self) -> frozenset[str]:
        """Have the state know again what is there; URNs of what was let go and is not."""
        ref = self.request.ref
        document = await take_deployment(self.reader, self.root, ref)
        gone: frozenset[str] = frozenset()
        if document is None:
            return gone
        deployment = document["deployment"]
        if deployment.get("pending_operations"):
            return gone  # An import would drop them, and what they say of lost resources.
        wanted = self.request.document["deployment"]
        changed = take_back_replaced(deployment, wanted)
        free = released_urns(deployment, wanted)
        if changed is not None and free:
            # Its option may have been taken off before it was removed: then it is really gone.
            gone = await self.look({**document, "deployment": changed}, free)
            changed = take_back_replaced(deployment, wanted, gone) if gone else changed
        if changed is not None:
            document = {**document, "deployment": changed}
            await self.reader.replace(ref, document, self.operation)
        return gone


def _in_the_way(
    wanted: Mapping[str, Any],
    result: OperationResult,
    found: Comparison,
    refused: Mapping[str, str],
) -> dict[str, str]:
    """What was refused, when something that does not depend on it is not as it was either."""
    if result.failure is None or result.failure.kind != "provider":
        return {}
    old = {urn: entry for urn, entry in live(wanted).items() if not is_root(entry)}
    blamed = {urn: why for urn, why in result.said.items() if urn in old and urn not in refused}
    behind = {*blamed, *refused}
    for entry in ordered(list(old.values())):
        if dependencies_of(entry) & behind:
            behind.add(entry["urn"])
    hindered = {one.urn for one in found.different if one.urn in old} - behind
    return blamed if hindered else {}


def _both(first: OperationResult, second: OperationResult) -> OperationResult:
    """Two replays as one operation; the first says of a resource what the second repeats."""
    words = {*first.changes, *second.changes} - {"same"}
    changes = {word: first.changes.get(word, 0) + second.changes.get(word, 0) for word in words}
    return OperationResult(
        failure=second.failure,
        changes={**changes, "same": second.changes.get("same", 0)},
        resources=(*first.resources, *second.resources),
        said={**second.said, **first.said},
    )


PreviewReplay = Callable[
    [RestorePlan, Mapping[str, Any], Mapping[str, Any]], Awaitable[OperationResult]
]
"""Previews a replay, with this config, over this sealed document."""

_AGAIN: Final = frozenset({"create", "create-replacement", "replace"})
_AWAY: Final = frozenset({"delete", "delete-replaced"})


class RestorePreviewer(Struct, frozen=True, kw_only=True):
    """One look ahead. The fields are those of `alma.pulumi.restore.restore.Restoration`."""

    reader: PulumiCli
    root: Path | None
    directory: Path
    request: RestoreRequest
    play: PreviewReplay

    async def run(self) -> RestorePreview:
        """Preview it, without what the engine refuses until it refuses nothing more."""
        ref = self.request.ref
        wanted = await open_kept(self.reader, ref, self.request.document)
        require_python(ref, {"deployment": wanted}, self.request.python)
        document = await take_deployment(self.reader, self.root, ref)
        if document is None:
            raise BackendError(f"The stack {ref.project}/{ref.stack} is not there any more.")
        deployment = document["deployment"]
        if not deployment.get("pending_operations"):
            changed = take_back_replaced(deployment, self.request.document["deployment"])
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
