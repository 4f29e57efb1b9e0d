"""When what a run has brought up expires, as it is shown everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from alma.core.run import RunStatus, SagaState
from alma.journal import Journal
from alma.journal.reading import RunView
from alma.reports import text

Row = tuple[str, ...]


def expires_at(run: RunStatus) -> datetime | None:
    """When what it has brought up expires; None for what stays, and what is undone."""
    return run.expires_at if run.kind == "up" and run.state is not SagaState.COMPENSATED else None


def expires(run: RunStatus) -> str:
    """`expires 2026-12-01 18:00:00 UTC, as run X has said`; empty where nothing does."""
    if (at := expires_at(run)) is None:
        return ""
    of = run.expiry.of if run.expiry else ""
    whose = f", as run {text.name(of)} has said" if of else ""
    return f"expires {text.moment(at)}{whose}"


def now(journal: Journal, run: RunStatus) -> str:
    """When; whose word that is; and that it is over, or no more so. Empty where nothing is said."""
    if run.expires_at is None or run.kind != "up":
        return ""
    from alma.journal.expiry import expiring  # only where something expires

    found, when = expiring(journal, run.definition.target), text.moment(run.expires_at)
    if found is None or found.run.run != run.run:
        return f"{when} it said, which is not so any more"
    over = (
        "; that is over: the next `reap` takes it down" if run.expires_at <= journal.now() else ""
    )
    return f"{when}{expires(run).removeprefix(f'expires {when}')}{over}"


def still(journal: Journal, views: Sequence[RunView]) -> dict[str, str]:
    """When, by run, of those whose word it is by now: what is there has one, and the past none."""
    targets = {view.run.definition.target for view in views if expires(view.run)}
    if not targets:
        return {}
    from alma.journal.expiry import expiring  # as above

    found = {}
    for target in targets:
        one = expiring(journal, target)
        if one is not None and (at := expires_at(one.run)) is not None:
            found[one.run.run] = text.moment(at)
    return found


def with_expiry(
    header: Row, rows: Sequence[Row], views: Sequence[RunView], when: Mapping[str, str]
) -> tuple[Row, Sequence[Row]]:
    """A list of runs, where any expires (see `still`) with a column of that before the last one."""
    told = [when.get(view.run.run, "-") for view in views]
    if all(at == "-" for at in told):
        return header, rows
    wider = [(*row[:-1], at, row[-1]) for row, at in zip(rows, told, strict=True)]
    return (*header[:-1], "EXPIRES", header[-1]), wider
