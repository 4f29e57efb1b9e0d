"""What looks at drift have found, as the journal keeps it; and since when it has been so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace

from alma.core.drift import Drift, ResourceDrift
from alma.core.events import Failure
from alma.core.run import RunStatus
from alma.errors import JournalError, UntrustedJournalError
from alma.journal.rows import ObservationRow
from alma.journal.store import to_stamp
from alma.runner.left_up import Quiet
from alma.runner.settings import Settings, actor, new_run_id
from alma.runner.step_drift import StepDrift


def observe(
    settings: Settings,
    quiet: Quiet,
    last: RunStatus,
    at: datetime,
    found: Iterable[StepDrift],
) -> tuple[tuple[StepDrift, ...], str]:
    """Keep what was found; the same, each resource with when it was first seen so.

    And why it could not be kept, where that is so: it was found all the same.
    """
    target, look, who = last.definition.target, new_run_id(at), actor()
    rows = [
        ObservationRow(
            look=look,
            step=step.step,
            at=to_stamp(at),
            target=target,
            run=step.run or last.run,
            actor=who,
            verdict=step.verdict,
            data=json.dumps(_data(step)),
        )
        for step in found
    ]
    why = ""
    try:
        with settings.open(write=True) as journal:
            quiet.still(journal)
            journal.observe(rows)
            kept = journal.observations(target)
    except UntrustedJournalError:
        raise
    except JournalError as error:
        why = error.message
        with settings.open(write=False) as journal:
            quiet.still(journal)
            kept = [*journal.observations(target), *rows]
    seen = since(kept)
    dated = tuple(
        replace(
            step,
            since={
                one.urn: seen[step.step, one.urn]
                for one in step.drift.resources
                if (step.step, one.urn) in seen
            },
        )
        for step in found
    )
    return dated, why


def since(rows: Iterable[ObservationRow]) -> dict[tuple[str, str], str]:
    """Of what is drifted by the last look that could tell: when that was first seen.

    By step and URN. A look that could not tell of all of a step ends nothing.
    """
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        data = _read(row.data)
        resources = data.get("resources") or ()
        urns = {str(one.get("urn")) for one in resources if isinstance(one, Mapping)}
        whole = row.verdict in ("none", "absent", "drifted") and not data.get("reason")
        if whole and not data.get("unasked"):
            found = {key: at for key, at in found.items() if key[0] != row.step or key[1] in urns}
        for urn in urns:
            found.setdefault((row.step, urn), row.at)
    return found


def seen(row: ObservationRow, first: Mapping[tuple[str, str], str]) -> StepDrift:
    """What a look has found of a step; of data that is none of ours only the verdict."""
    data = _read(row.data)
    try:
        resources = convert(data.get("resources") or (), tuple[ResourceDrift, ...])
        unasked = convert(data.get("unasked") or (), tuple[tuple[str, str], ...])
    except ValidationError:
        resources, unasked = (), ()
    reason = str(data.get("reason") or "")
    return StepDrift(
        step=row.step,
        kind=str(data.get("kind") or ""),
        run=row.run,
        drift=Drift(
            resources=resources,
            unasked=unasked,
            failure=Failure(kind="unknown", message=reason) if reason else None,
            absent=row.verdict == "absent",
        ),
        unasked="it has no way to tell" if row.verdict == "unasked" else "",
        since={
            one.urn: first[row.step, one.urn] for one in resources if (row.step, one.urn) in first
        },
    )


def _data(step: StepDrift) -> dict[str, Any]:
    failure = step.drift.failure
    return {
        "kind": step.kind,
        "resources": to_builtins(step.drift.resources),
        "unasked": [list(one) for one in step.drift.unasked],
        "reason": failure.message if failure else "",
    }


def _read(data: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
