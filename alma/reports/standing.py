"""A run as it stands now, with what became of what it left, and the commands that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from alma.core.events import Leftover, Recorded
from alma.journal import Journal
from alma.journal.reading import RunView, proven_gone, view_run
from alma.journal.rows import DeliveryRow
from alma.reports.report import next_commands

if TYPE_CHECKING:
    from alma.journal.address import Address
    from alma.reports.run_report import Report


class Standing(Struct, frozen=True, kw_only=True):
    """`gone` are leftovers that a later run has proven gone, each with that run's id."""

    view: RunView
    gone: Mapping[Leftover, str]
    following: list[str]
    untold: list[DeliveryRow]
    """Notices of it that were not delivered."""


def look(journal: Journal, run: str, told: Address | None) -> Standing:
    """How a run stands; `told` is the `--journal` that its commands have to name."""
    view = view_run(journal, run)
    following = []
    if not view.runner:
        following = next_commands(
            view.run, told, interrupted=view.interrupted, elsewhere=_elsewhere(view)
        )
    # Only a run that has any is looked into.
    gone = proven_gone(journal, view.run) if view.run.leftovers else {}
    untold = [row for row in journal.deliveries(run) if row.state != "delivered"]
    return Standing(view=view, gone=gone, following=following, untold=untold)


def read_report(found: Standing, events: Sequence[Recorded]) -> Report:
    """Its report as it stands then, of its events."""
    from alma.reports.run_report import make_report

    return make_report(found.view, events, found.gone, found.following)


def _elsewhere(view: RunView) -> str:
    """The host that may be at work on an interrupted run, as far as anybody can know here."""
    in_doubt = view.interrupted and any(step.open for step in view.run.steps.values())
    if not (view.shared and in_doubt):
        return ""
    from alma.runner.hosts import machines_unseen  # psutil: only where it is in doubt

    return machines_unseen(view.run)
