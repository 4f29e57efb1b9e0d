"""Changing the journal's key: what it keeps sealed is added again, under the new one.

A journal is only ever added to, so what was sealed under the old key stays in it; but nothing
needs it any more, and the old key can be destroyed.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET, Struct

from alma.core import events as ev
from alma.core.run import RunStatus
from alma.journal import Journal
from alma.journal.reading import load_run
from alma.runner.lease import take as lease_of
from alma.runner.settings import Settings


class Rekeyed(Struct, frozen=True, kw_only=True):
    """`values` of `runs` were sealed again; `key` is where the key is that opens them."""

    runs: int
    values: int
    key: str


def rekey(settings: Settings) -> Rekeyed:
    """Seal everything under a new key of alma's own, or the first one that the user gave.

    Raises AuthenticationError without the old key, RunnerBusyError while a run is at work; then
    both keys stay, and it can be done again.
    """
    runs = values = 0
    with settings.open(write=True) as journal:
        keys = journal.keys
        if keys.chosen:
            keys.prepare()
        else:
            keys.renew()
        for row in reversed(journal.runs(limit=None)):
            count = _reseal(journal, load_run(journal, row.run))
            runs, values = runs + bool(count), values + count
        journal.seal_again()
        if not keys.chosen:
            keys.drop_old()
    return Rekeyed(runs=runs, values=values, key=keys.chosen or str(_shown(keys.own)))


def _reseal(journal: Journal, run: RunStatus) -> int:
    """How many values of the run were sealed again."""
    again = journal.keys.seal_again
    given = again(run.sealed) if run.sealed else ""
    outputs = {step.name: again(step.sealed) for step in run.steps.values() if step.sealed}
    outputs = {name: token for name, token in outputs.items() if token != run.steps[name].sealed}
    hidden = {step.name: tuple(map(again, step.hidden)) for step in run.steps.values()}
    hidden = {name: found for name, found in hidden.items() if found != run.steps[name].hidden}
    changed = bool(given) and given != run.sealed
    if not changed and not outputs and not hidden:
        return 0
    event = ev.ValuesResealed(
        sealed=given if changed else UNSET, outputs=outputs, hidden=hidden or UNSET
    )
    with lease_of(journal, run.definition.target, run.run) as lease:
        journal.append(run.run, event, lease)
    return len(outputs) + sum(map(len, hidden.values())) + changed


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
