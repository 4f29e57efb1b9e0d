"""Recording into a run that other processes record into at the same time, under one lease."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.notice import due, may_be_due
from alma.core.state import apply
from alma.errors import RefusedError, SeqTakenError
from alma.journal.deliveries import owed_for
from alma.journal.reading import load_run
from alma.journal.rows import DeliveryRow
from alma.runner.recorder import E, Recorder, require_sound


class SharedRecorder(Recorder):
    """Commits each event by itself, at the place that is next in the journal, and then applies it.

    What others have written meanwhile is taken in before.
    """

    noticed: Callable[[ev.Recorded, bool], None]
    """Told of each event, and whether it came from elsewhere; given before the first one."""

    def record(self, event: ev.Event) -> None:
        """See `Recorder`."""
        self.record_next(lambda _seq: event)

    def defer(self, event: ev.Event, patience: float | None = None) -> None:  # noqa: ARG002
        """At once: what is not in the journal the others do not know."""
        self.record(event)

    def commit(self) -> None:
        """There is nothing that was deferred."""

    def record_next(self, make: Callable[[int], E]) -> E:
        """See `Recorder`; `make` is asked again where somebody else came first."""
        while True:
            event = self._with_process(make(self.run.seq + 1))
            if self.broken is not None:
                self._emergency(event)
                raise self.broken
            require_sound(event)
            draft = self._journal.draft(self.run.run, self.run.seq + 1, event, self._lease)
            try:
                (entry,) = self._journal.commit([draft], self._lease, self._owed_for(draft))
            except SeqTakenError:
                self.catch_up()
                continue
            except RefusedError as error:
                self.broken = error
                self._emergency(event)
                raise
            apply(self.run, entry)
            self.noticed(entry, False)  # noqa: FBT003
            self.tell(entry)
            return event

    def catch_up(self) -> None:
        """Take in what others have written. Raises StaleEpochError once the lease is another's."""
        run = self.run
        place = self._journal.place(run.run, run.definition.target)
        self._lease.check_epoch(place.epoch)
        if place.seq == run.seq:
            return
        for entry in self._journal.events(run.run, after=run.seq):
            apply(run, entry)
            self.noticed(entry, True)  # noqa: FBT003

    def _owed_for(self, draft: ev.Recorded) -> list[DeliveryRow]:
        """Who is to be told is said by the state after it, which is not ours before the commit."""
        if not may_be_due(self.run, draft.event):
            return []
        after = load_run(self._journal, draft.run)
        if after.seq != draft.seq - 1:
            return []  # somebody else came first: it is not committed so
        apply(after, draft)
        return owed_for(draft, due(after, draft))

    def _with_process(self, event: E) -> E:
        if isinstance(event, ev.OperationIntended | ev.OperationReconciled):
            return replace(event, by=self._lease.process)
        return event
