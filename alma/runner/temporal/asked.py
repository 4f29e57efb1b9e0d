"""What was said with a run, for the worker that begins it, and why that has refused to.

Kept with the journal, and sealed.

Of it Temporal has the digest alone. Parameters may hold secrets, and a reason may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct, convert, field
from msgspec.structs import asdict, replace

from alma.core.selection import Selection
from alma.core.ttl import NONE, Ttl
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.pulumi.snapshot_files import snapshots_of
from alma.pulumi.snapshots import SnapshotError, Snapshots
from alma.runner.settings import Settings

_OWNER: Final = "alma.Run"


class Asked(Struct, frozen=True, kw_only=True):
    """Of `Settings` what a worker has not by itself, and what the saga's function was given.

    `ttl` is in seconds, or `none`; empty where nothing was said.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    selection: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = False
    accept_backend: bool = False
    accept_existing: bool = False
    ttl: float | str = ""
    reason: str = ""

    def of(self, settings: Settings) -> Settings:
        """A worker's settings, for this run."""
        return replace(
            settings,
            selection=convert(self.selection, Selection),
            changed=self.changed,
            accept_backend=self.accept_backend,
            accept_existing=self.accept_existing,
            ttl=_read(self.ttl),
            reason=self.reason,
        )


def asked_with(
    settings: Settings, parameters: Mapping[str, Any], overrides: Mapping[str, str]
) -> Asked:
    """What was said with these."""
    ttl = settings.ttl
    return Asked(
        parameters=parameters,
        overrides=overrides,
        selection=asdict(settings.selection),
        changed=settings.changed,
        accept_backend=settings.accept_backend,
        accept_existing=settings.accept_existing,
        ttl=ttl.total_seconds() if isinstance(ttl, timedelta) else ttl or "",
        reason=settings.reason,
    )


def keep(journal: Journal, target: str, asked: Asked) -> str:
    """Keep it with the journal; its digest."""
    sealed = {"asked": journal.keys.seal(asdict(asked))}
    return _snapshots(journal).keep(_OWNER, target, sealed)


def read(journal: Journal, target: str, run: str, digest: str, *, known: bool) -> Asked:
    """What was kept. RunNotFoundError where this journal has it not, or not any more.

    A run that is `known` has in the journal what it was begun with.
    """
    try:
        document = _snapshots(journal).load(digest, _OWNER, target)
    except SnapshotError as error:
        if known:
            return Asked()
        raise RunNotFoundError(
            f"What was asked of run {run} of {target} is not in the journal {journal.name}: "
            f"{error.message}.",
            hint="Have the same journal (ALMA_JOURNAL) where `up` is called and on each worker.",
        ) from error
    return Asked(**journal.keys.unseal(document["asked"]))


def keep_words(journal: Journal, target: str, words: str) -> str:
    """Keep why a run was refused, for who has asked for it; its digest."""
    sealed = {"refused": journal.keys.seal(words)}
    return _snapshots(journal).keep(_OWNER, target, sealed)


def take_words(journal: Journal, target: str, digest: str) -> str:
    """Why it was refused. Raises SnapshotError where that is not here."""
    snapshots = _snapshots(journal)
    words: str = journal.keys.unseal(snapshots.load(digest, _OWNER, target)["refused"])
    snapshots.place.remove(digest)
    return words


def forget(journal: Journal, digest: str) -> None:
    """Its run has begun, and has all of it; or there is none."""
    _snapshots(journal).place.remove(digest)


def _snapshots(journal: Journal) -> Snapshots:
    return snapshots_of(journal.path, journal.snapshots)


def _read(ttl: float | str) -> Ttl | None:
    if isinstance(ttl, str):
        return NONE if ttl else None
    return timedelta(seconds=ttl)
