"""What an `up` says of when it all may be taken down, and what it may not say that of."""

from __future__ import annotations

from collections.abc import Mapping

from alma.core.definition import Definition
from alma.core.events import Expiry
from alma.core.run import RunStatus
from alma.core.ttl import NONE, later
from alma.errors import DefinitionError
from alma.journal import Journal
from alma.journal.expiry import expiring
from alma.journal.left import counted, foreign, made_here
from alma.runner.settings import Settings
from alma.steps.base import StepHandler

ACCEPT = "--accept-existing (accept_existing=True)"


def said(journal: Journal, settings: Settings) -> Expiry | None:
    """What is said with this command, or by its saga; None where nothing is."""
    existing = settings.accept_existing
    if settings.ttl is None or settings.parent is not None:
        return None
    if settings.ttl == NONE:
        return Expiry(existing=existing)
    return Expiry.when(later(journal.now(), settings.ttl), existing=existing)


def expiry_of(journal: Journal, target: str, settings: Settings) -> Expiry | None:
    """Of a new run: as it is said, else as it was before.

    DefinitionError where that time is over: who works on what is about to go must say that it
    stays.
    """
    if (now := said(journal, settings)) is not None:
        return now
    before = expiring(journal, target) if settings.parent is None else None
    if before is None or before.run.expiry is None or before.run.expires_at is None:
        return None
    if before.run.expires_at <= journal.now():
        raise DefinitionError(
            f"What run {before.run.run} has left of {target} expired at "
            f"{before.run.expires_at:%Y-%m-%d %H:%M:%S} UTC, and is taken down by the next `reap`.",
            hint="--ttl 4h (ttl=) lets it stay as long from now, --ttl none for good.",
        )
    of = before.run.expiry.of or before.run.run
    return Expiry(at=before.run.expiry.at, of=of)


async def refuse_existing(
    definition: Definition, adapters: Mapping[str, StepHandler], settings: Settings
) -> None:
    """Refuse to say of what the saga has not made that it expires, unless that is said as well.

    What cannot be seen yet is found by the run, and not taken down by `reap`.
    """
    if settings.ttl in (None, NONE) or settings.accept_existing:
        return
    with settings.open(write=False) as journal:
        if there := foreign(journal, definition.target):
            raise _refused(there[0].target, there[0].step, f"{there[0].what} (run {there[0].run})")
        made = made_here(journal, definition.target)
    for step in definition.steps:
        if step.has_state and step.name not in made:
            held = (await adapters[step.name].preview(None)).held
            if held:
                raise _refused(definition.target, step.name, counted(len(held)))


def _refused(target: str, step: str, what: str) -> DefinitionError:
    return DefinitionError(
        f'Step "{step}" of {target} has {what} that no run of this journal has made: with a ttl '
        "they would be destroyed with the rest.",
        hint=f"If that is meant, say so: {ACCEPT}. Else leave the ttl out.",
    )


def not_to_be_reaped(journal: Journal, run: RunStatus) -> tuple[str, ...]:
    """Why what the run has left will not be taken down by itself, in sentences."""
    if run.expires_at is None:
        return ()
    return tuple(
        f'step "{one.step}" of {one.target} has {one.what}: run {one.run} has found them'
        for one in foreign(journal, run.definition.target)
    )
