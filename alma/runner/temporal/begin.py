"""A run that is begun, or taken up, for a workflow to drive: its lease is the workflow's."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.result import Result, SagaEndedError, make_result
from alma.core.run import RunStatus
from alma.errors import RunNotFoundError
from alma.journal import Journal
from alma.journal.known import Known
from alma.journal.lease import Lease
from alma.runner.binding import BoundSaga
from alma.runner.leased_run import executor_of
from alma.runner.recorder import Recorder
from alma.runner.resume import go_on_by
from alma.runner.settings import Settings
from alma.runner.start import begin, last_run
from alma.runner.temporal.orders import Order
from alma.saga.saga import Saga


async def begin_there(order: Order, saga: Saga, settings: Settings, workflow: ev.Workflow) -> int:
    """The epoch of the lease under which it goes on; 0 where it is over.

    What was begun before by an attempt that was lost is taken up. Raises as `begin` and `go_on`.
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

    ttl = saga.ttl if order.how == "up" else None
    settings = replace(settings, run_id=order.run, accept_changes=order.accept_changes, ttl=ttl)
    try:
        if _is_known(order.run, settings):
            back: ev.Direction | None = "back" if order.how == "rollback" else None
            accept = order.accept_changes or back == "back"
            await go_on_by(order.run, back, saga, settings, accept_changes=accept, drive=attach)
        else:
            last, _ = last_run(saga, settings)
            await begin(saga, "up", settings, last, drive=attach)
    except SagaEndedError:
        return 0  # over before: the journal has how
    return epochs[0] if epochs else 0


def _is_known(run: str, settings: Settings) -> bool:
    with settings.open(write=False) as journal:
        try:
            journal.run(run)
        except RunNotFoundError:
            return False
    return True
