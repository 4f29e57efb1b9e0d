"""A run that is begun, or taken up, for a workflow to drive: its lease is the workflow's."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.result import Result, SagaEndedError, make_result
from alma.core.run import RunStatus
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.journal.known import Known, parameters_of
from alma.journal.lease import Lease
from alma.journal.reading import load_run
from alma.runner.binding import BoundSaga
from alma.runner.leased_run import executor_of
from alma.runner.recorder import Recorder
from alma.runner.resume import go_on_by
from alma.runner.settings import Settings
from alma.runner.start import begin, last_run
from alma.runner.temporal.asked import read
from alma.runner.temporal.orders import Order
from alma.runner.temporal.served import Served


async def begin_there(order: Order, served: Served, workflow: ev.Workflow) -> int:
    """The epoch of the lease under which it goes on; 0 where it is over.

    What was begun before by an attempt that was lost is taken up. Raises as `begin` and `go_on`,
    and RunNotFoundError where the run, or what was asked of it, is in another journal.
    """
    epochs: list[int] = []

    async def attach(
        run: RunStatus,
        journal: Journal,
        lease: Lease,
        prepared: BoundSaga,
        settings: Settings,
        known: Known,
        resumed: ev.RunResumed | None = None,
        gone: Sequence[ev.HostDeclaredGone] = (),
    ) -> Result:
        recorder = Recorder(run, journal, lease, prepared.redactor, None)
        executor_of(recorder, journal, prepared, settings, known)  # refused before it is begun
        attached = ev.RunnerAttached(process=lease.process, actor=lease.actor, workflow=workflow)
        recorder.defer(attached)
        if resumed is not None:
            recorder.defer(resumed)
        for word in gone:
            recorder.defer(word)
        recorder.commit()
        epochs.append(lease.epoch)
        return make_result(run, interrupted=True)

    settings = replace(served.settings, run_id=order.run, accept_changes=order.accept_changes)
    with settings.open(write=False) as journal:
        before = _run_before(journal, order)
        asked = read(journal, order.target, order.run, order.asked, known=before is not None)
        given = asked.parameters if before is None else parameters_of(journal, before)
    overrides = asked.overrides if before is None else before.overrides
    saga, settings = served.saga(given, overrides), asked.of(settings)
    try:
        if before is not None:
            back: ev.Direction | None = "back" if order.how == "rollback" else None
            accept = order.accept_changes or back == "back"
            await go_on_by(order.run, back, saga, settings, accept_changes=accept, drive=attach)
        else:
            last, _ = last_run(saga, settings)
            await begin(saga, "up", settings, last, drive=attach)
    except SagaEndedError:
        return 0  # over before: the journal has how
    return epochs[0] if epochs else 0


def _run_before(journal: Journal, order: Order) -> RunStatus | None:
    """The run as it is; None for one that is only now begun."""
    try:
        journal.run(order.run)
    except RunNotFoundError:
        if order.how != "up":
            raise
        return None
    return load_run(journal, order.run)
