"""Bringing a stack back to a snapshot: reinstate, replay, compare. Imports no pulumi.

Every part can be repeated: a restore that was cut off is made again from the beginning, from
what the state shows then, and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from alma.core.events import Failure
from alma.core.struct import Frozen
from alma.pulumi.deployment import dependencies_of, is_root, live
from alma.pulumi.engine import OperationResult, RestoreRequest, RestoreResult
from alma.pulumi.reading import PulumiCli
from alma.pulumi.restore.assets import changed_files
from alma.pulumi.restore.compare import Comparison, compare
from alma.pulumi.restore.matching import ordered
from alma.pulumi.restore.plan import RestorePlan, plan, provider_config
from alma.pulumi.restore.replaced import let_go, reinstate
from alma.pulumi.snapshot import open_current, open_kept, take

RunReplay = Callable[[RestorePlan, Mapping[str, Any]], Awaitable[OperationResult]]
AskProviders = Callable[[Mapping[str, Any], tuple[str, ...]], Awaitable[frozenset[str]]]
"""Which of these URNs of this sealed document are not there any more, by their providers."""


class Restoration(Frozen):
    """One restore. `root` is the file backend's directory, or None.

    `directory` is where programs run: relative paths of assets are meant from there. `play` runs
    a replay, `look` asks providers what there is.
    """

    reader: PulumiCli
    root: Path | None
    directory: Path
    request: RestoreRequest
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
        if not found.unlike:
            failure = None  # The state decides, not the exit code.
        elif failure is None:
            failure = Failure(
                kind="unverified",
                message=f"{len(found.unlike)} resources are not as they were before: "
                f"{found.unlike[0].reason}",
                urn=found.unlike[0].urn,
            )
        return RestoreResult(
            failure=failure,
            changes=result.changes,
            resources=result.resources,
            said=result.said,
            renewed=tuple(found.renewed),
            unlike=tuple(found.unlike),
        )

    async def _attempt(
        self, wanted: Mapping[str, Any], refused: Mapping[str, str]
    ) -> tuple[OperationResult, Comparison]:
        ref = self.request.ref
        gone = await self._reinstate()
        current = await open_current(self.reader, self.root, ref)
        stale = changed_files(wanted, current, self.directory)
        replay = plan(wanted, current, stale, refused)
        config = provider_config(wanted)
        result = await self.play(replay, config)
        if result.failure is None and replay.eased:
            result = _both(result, await self.play(replay.strict, config))
        after = await open_current(self.reader, self.root, ref)
        return result, compare(wanted, after, {**stale, **result.said, **refused}, gone)

    async def _reinstate(self) -> frozenset[str]:
        """Have the state know again what is there; URNs of what was let go and is not."""
        ref = self.request.ref
        document = await take(self.reader, self.root, ref)
        gone: frozenset[str] = frozenset()
        if document is None:
            return gone
        deployment = document["deployment"]
        if deployment.get("pending_operations"):
            return gone  # An import would drop them, and what they say of lost resources.
        wanted = self.request.document["deployment"]
        changed = reinstate(deployment, wanted)
        free = let_go(deployment, wanted)
        if changed is not None and free:
            # Its option may have been taken off before it was removed: then it is really gone.
            gone = await self.look({**document, "deployment": changed}, free)
            changed = reinstate(deployment, wanted, gone) if gone else changed
        if changed is not None:
            await self.reader.replace(ref, {**document, "deployment": changed})
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
    hindered = {one.urn for one in found.unlike if one.urn in old} - behind
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
