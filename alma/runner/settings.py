"""Where and with what a run is made, and what it is known by.

What only a run needs is imported where it is: commands that read start faster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from msgspec import Struct, field
from msgspec.structs import force_setattr

from alma.__about__ import __version__
from alma.core.definition import LocalStack
from alma.core.event_parts import Parent
from alma.core.selection import Selection
from alma.core.ttl import Ttl
from alma.errors import UntrustedJournalError
from alma.journal import Journal, kept_beside, open_journal
from alma.journal.address import DEFAULT, Address, PostgresUrl, address_of, chosen
from alma.pulumi.engine import Engine
from alma.runner.recorder import Reporter

HEARTBEAT: Final = 30.0
"""Seconds after which a worker that says nothing is taken for lost; it says something each third.

A worker that only seems to be lost is waited for: see `alma.runner.temporal.here`."""


def new_run_id(now: datetime) -> str:
    """Sorts by time: `20260131-142501-042-9f3c`, UTC to the millisecond, and four hex digits."""
    stamp = now.astimezone(UTC)
    return f"{stamp:%Y%m%d-%H%M%S}-{stamp.microsecond // 1000:03d}-{os.urandom(2).hex()}"


def actor() -> str:
    """Who does this: `user@host`."""
    from alma.system.processes import HOST, user_name

    return f"{user_name()}@{HOST}"


def versions() -> dict[str, str]:
    """Of what runs here: alma and Python. The engine adds its own."""
    import platform

    return {"alma": __version__, "python": platform.python_version()}


def _heartbeat() -> float:
    said = os.environ.get("ALMA_TEMPORAL_HEARTBEAT", "")
    return float(said) if said.replace(".", "", 1).isdigit() and float(said) else HEARTBEAT


class OpenJournal(Protocol):
    """How a journal is opened: `open_journal`, or a test's wrapper around it."""

    def __call__(self, where: str | Path | PostgresUrl, /, *, write: bool) -> Journal:
        """See `alma.journal.open_journal`."""
        ...


class Settings(Struct, frozen=True, kw_only=True):
    """Where and with what a run is made; all optional.

    `journal` is the path of a file, or a `postgresql:` URL, where it is not what ALMA_JOURNAL says;
    `trust` makes the journal this user's own, as it is, where it was not (`Journal.adopt`);
    `aws` is where AWS steps go, whatever the saga says; `origin` is `file.py:name`, for `resume`;
    `modules` travel to workers by value; `grace` is how many seconds an operation may drain after
    its deadline; without `handle_signals` the process's signals are left to the host, which calls
    `alma.runner.interrupt`; `host_is_gone` is an operator's reason to say that the hosts on which a
    run was cut off are gone, and `reason` why a run is gone on with, both for the journal; with
    `accept_backend` stacks may be made anew in another backend than the last run's; `selection` is
    which steps a new run is about, and `changed` leaves those of them alone that are as their last
    run has left them; `ttl` is how long what it brings up is to stay, whatever the saga says, and
    with `accept_existing` that is said of what was there before the saga as well; `skip` are
    resources, by step and name, that an undo which is stuck at them may go past; `open_journal` is
    where a test puts its own faults between a run and its journal. With `temporal` (`HOST:PORT`,
    else ALMA_TEMPORAL) a new run is driven there, in its `namespace`, by workers of which one that
    says nothing for `heartbeat` seconds is taken for lost. Of a run that is a part of another one,
    `parent` is that one, `run_id` was journaled there beforehand, and `given` is what its saga is
    given.
    """

    journal: str | Path | PostgresUrl | None = None
    trust: bool = False
    reporter: Reporter | None = None
    engine: Engine | None = None
    aws: LocalStack | None = None
    origin: str = ""
    modules: tuple[ModuleType, ...] = ()
    grace: float = 30.0
    handle_signals: bool = True
    accept_backend: bool = False
    host_is_gone: str = ""
    reason: str = ""
    selection: Selection = Selection()
    changed: bool = False
    repairs: Mapping[str, str] = field(default_factory=dict)
    """What of a new run, or within one, has drifted: see `RunCreated`."""
    ttl: Ttl | None = None
    accept_existing: bool = False
    skip: tuple[tuple[str, str], ...] = ()
    temporal: str = field(default_factory=lambda: os.environ.get("ALMA_TEMPORAL", ""))
    namespace: str = ""
    heartbeat: float = field(default_factory=_heartbeat)
    parent: Parent | None = None
    run_id: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    accept_changes: bool = False
    """Of `resume`: for the runs that are a part of the run."""
    open_journal: OpenJournal = open_journal
    versions: Mapping[str, str] = field(default_factory=versions)

    def __post_init__(self) -> None:
        """A URL is kept as one that is not shown with its credentials, whoever shows this."""
        if self.journal is not None:
            force_setattr(self, "journal", address_of(self.journal))

    @property
    def where(self) -> Address:
        """Where the journal is; JournalError for a URL of anything that keeps none."""
        return chosen(self.journal) or DEFAULT

    @property
    def kept_beside(self) -> Path:
        """The path beside which things are kept that are this host's: see `Store.path`."""
        return kept_beside(self.where)

    def open(self, *, write: bool) -> Journal:
        """The journal, to act on what it says.

        Raises UntrustedJournalError, before anything is written, where it is another's.
        """
        reader = self.open_journal(self.where, write=False)
        try:
            try:
                reader.act()
            except UntrustedJournalError:
                if not self.trust:
                    raise
                with self.open_journal(self.where, write=True) as journal:
                    journal.adopt()
                reader.act()
            if not write:
                return reader
        except BaseException:
            reader.close()
            raise
        reader.close()
        return self.open_journal(self.where, write=True).act()
