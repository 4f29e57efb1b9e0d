"""Recording: journal first, then the state, then whoever watches; never a secret."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from alma.core import events as ev
from alma.core.codec import decode, own_fields, said_fields
from alma.core.notice import due
from alma.core.redaction import Redactor, clean_failure, shortened
from alma.core.run import RunStatus
from alma.core.state import apply
from alma.core.validation import needs_sealing
from alma.errors import JournalError, RefusedError
from alma.journal import Journal
from alma.journal.deliveries import owed_for
from alma.journal.journal import utc_now
from alma.journal.lease import Lease
from alma.journal.rows import DeliveryRow
from alma.journal.store import to_text
from alma.runner.logs import kept_ends, logs_of
from alma.system import files

E = TypeVar("E", bound=ev.Event)

PATIENCE: Final = 0.005
"""Seconds that what was deferred waits for the next intent: to decide on it, and to read the
state of the next stack, takes half of that."""
UNTIL_ITS_CLI: Final = 0.05
"""Seconds that a worker waits to be noted together with the CLI that it starts."""


class Reporter(Protocol):
    """Whoever shows a run while it goes on. Called on the event loop; must not block."""

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """An event was committed; `run` is the state after it."""
        ...

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """A resource's operation began or ended."""
        ...


class Recorder:
    """The one way in which something comes into a run's journal."""

    def __init__(
        self,
        run: RunStatus,
        journal: Journal,
        lease: Lease,
        redactor: Redactor,
        reporter: Reporter | None,
    ) -> None:
        self.run = run
        self.logs = logs_of(journal.path, run.run)
        self.redact = redactor
        self.broken: RefusedError | None = None
        """Why the journal cannot be written any more, once that is so."""
        self._journal, self._lease, self._reporter = journal, lease, reporter
        self._drafts: list[ev.Recorded] = []
        self._owed: list[DeliveryRow] = []
        self._timer: asyncio.TimerHandle | None = None

    def record(self, event: ev.Event) -> None:
        """Apply the event and commit it, with all that was deferred before it.

        Raises ValueError for an event that could not be written, or not be read again: then
        nothing has changed. When the journal fails (JournalError, StaleEpochError) nothing is
        committed any more, and what should have been is written to stderr instead, a line of JSON
        each: the emergency record.
        """
        self._take(event)
        self.commit()

    def record_next(self, make: Callable[[int], E]) -> E:
        """The same of the event that `make` makes for its seq; the event."""
        event = make(self.run.seq + 1)
        self.record(event)
        return event

    def defer(self, event: ev.Event, patience: float | None = None) -> None:
        """Apply the event now; it is committed with the next one that is recorded.

        For what has happened, never for what is about to: an outcome and the intent that follows
        from it share one commit. Where none follows within `patience` seconds (PATIENCE), it is
        committed by itself.
        """
        self._take(event)
        loop = asyncio.get_running_loop()
        due = loop.time() + (PATIENCE if patience is None else patience)
        if self._timer is None or due < self._timer.when():
            self._cancel_timer()
            self._timer = loop.call_at(due, self._commit_late)

    def commit(self) -> None:
        """Have everything that was deferred on disk. Raises as `record` does."""
        self._cancel_timer()
        drafts, self._drafts = self._drafts, []
        owed, self._owed = self._owed, []
        if not drafts:
            return
        try:
            entries = self._journal.commit(drafts, self._lease, owed)
        except RefusedError as error:
            self.broken = error
            for draft in drafts:
                self._emergency(draft.event)
            raise
        for entry in entries:
            self.tell(entry)

    def _take(self, event: ev.Event) -> None:
        if self.broken is not None:
            self._emergency(event)
            raise self.broken
        require_sound(event)
        draft = self._journal.draft(self.run.run, self.run.seq + 1, event, self._lease)
        self._drafts.append(draft)
        apply(self.run, draft)
        self._owed += owed_for(draft, due(self.run, draft))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commit_late(self) -> None:
        # Whoever records next is told of a failure; the loop has nobody to raise it to.
        with suppress(RefusedError):
            self.commit()

    def _emergency(self, event: ev.Event) -> None:
        line = {
            "alma": "this could not be written to the journal",
            "run": self.run.run,
            "at": utc_now().isoformat(),
            "type": event.type,
            "step": event.step,
            **own_fields(event),
        }
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{json.dumps(line, default=said_fields)}\n")
            sys.stderr.flush()

    def tell(self, entry: ev.Recorded) -> None:
        """That it was committed."""
        self.report(lambda reporter: reporter.recorded(self.run, entry))

    def report(self, tell: Callable[[Reporter], None]) -> None:
        """Show it; a display that breaks (its terminal is gone) must not touch the run."""
        if self._reporter is None:
            return
        try:
            tell(self._reporter)
        except OSError:
            self._reporter = None
        except Exception as error:  # noqa: BLE001 - it is only looked at
            self._reporter = None
            with suppress(OSError, ValueError):
                sys.stderr.write(f"alma: the display has failed: {type(error).__name__}\n")

    def clean(self, leftovers: tuple[ev.Leftover, ...]) -> tuple[ev.Leftover, ...]:
        """The leftovers without secrets in what a provider or a callable has said."""
        cleaned = (
            ev.Leftover(
                step=left.step,
                stack=left.stack,
                urn=self._name(left.urn),
                id=self._name(left.id),
                reason=shortened(self.redact(str(left.reason))),
            )
            for left in leftovers
        )
        return tuple(dict.fromkeys(cleaned))

    def clean_resources(
        self, changes: tuple[ev.ResourceChange, ...]
    ) -> tuple[ev.ResourceChange, ...]:
        """The same of what an operation has touched."""
        return tuple(
            ev.ResourceChange(urn=self._name(one.urn), op=str(one.op), id=self._name(one.id))
            for one in changes
        )

    def hide(self, changes: Iterable[ev.ResourceChange]) -> list[tuple[str, str, str, str, str]]:
        """Of those that are used again, whose names hold a secret: as shown, and as they are."""
        return [
            (one.op, self.redact(one.urn), self.redact(one.id), one.urn, one.id)
            for one in changes
            if one.op in (*ev.DOUBTFUL, ev.IMPORTED)
            and (self.redact(one.urn), self.redact(one.id)) != (one.urn, one.id)
        ]

    def seal_hidden(self, hidden: Sequence[tuple[str, ...]]) -> str | UnsetType:
        """What `hide` has found, under the journal's key."""
        return self._journal.keys.seal(hidden) if hidden else UNSET

    def _name(self, text: str) -> str:
        return self.redact(str(text))

    def clean_failure(self, failure: ev.Failure, log: Path) -> ev.Failure:
        """The failure without secrets, and with its log where there is one."""
        kept = failure.log or (str(log) if log.exists() else "")
        clean = clean_failure(failure, self.redact)
        words, hint = shortened(clean.message), shortened(clean.hint)
        ends = kept_ends(log, self.redact) or UNSET
        return replace(clean, message=words, hint=hint, log=kept, log_ends=ends)

    def seal(self, outputs: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
        """The outputs sealed, where the journal keeps them masked; or empty."""
        return self._journal.keys.seal(outputs) if needs_sealing(outputs, kept) else ""

    def seal_given(self, digests: Mapping[str, str]) -> str:
        """Digests of what a step was given, of which some may be guessed from."""
        return self._journal.keys.seal(digests)

    def digest(self, value: Any) -> str:
        """Under the journal's key, of what may hold secrets."""
        return self._journal.keys.digest(value)

    def write_trace(self, directory: Path, text: str) -> None:
        """Keep a traceback beside the operation's other logs, redacted, mode 0600."""
        with suppress(OSError):  # it is for people: a run does not end for want of it
            files.make_directory(directory)
            files.replace(directory / "traceback.txt", self.redact(text), durable=False)


def require_sound(event: ev.Event) -> None:
    """What comes from outside must not end the run for all its steps, nor the next command."""
    try:
        decode(event.type, event.step, to_text(event))
    except (JournalError, RecursionError) as error:
        raise ValueError(f"{error}") from error
