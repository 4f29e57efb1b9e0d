"""Asking whoever drives a run to stop, as a first signal does, from another process."""

from __future__ import annotations

import time
from typing import Final

from alma.core import events as ev
from alma.core.run import RunStatus
from alma.errors import AlmaError, DefinitionError, RefusedError
from alma.journal import Journal
from alma.journal.lease import Holder
from alma.journal.reading import RunView, load_run, view_run
from alma.runner.leased_run import resume_hint
from alma.runner.logs import logs_of
from alma.runner.settings import Settings, actor
from alma.system import files

PATIENCE: Final = 30.0
"""Seconds for a runner to note that it was asked."""
_PAUSE: Final = 0.05


def cancel(reference: str, settings: Settings, *, patience: float = PATIENCE) -> RunView:
    """Ask the runner of a run to stop, and wait until the journal says that it has heard it.

    No new step starts, what is under way ends, then the failure policy applies. Who was asked
    before is not asked again: a second signal would cut off what is under way. Raises
    DefinitionError where there is nothing to stop, RefusedError where it is not certain that the
    process is the run's runner.
    """
    with settings.open(write=False) as journal:
        run_id = journal.resolve(reference)
        logs = logs_of(journal.path, run_id).parent
        files.make_directory(logs)
        # Two that ask at one moment would be two signals.
        lock = files.try_lock(logs / ".cancel.lock")
        if lock is None:
            raise RefusedError("Another `cancel` is at work here.", hint="Try again in a moment.")
        try:
            view = view_run(journal, run_id)
            if view.run.served is not None:
                _require_stoppable(view.run)
                stop_served(view.run, settings, actor())
                return view_run(journal, run_id)
            holder = _require_driven(view)
            if view.run.interrupts:
                return view
            _ask(holder, run_id)
            return _heard(journal, view.run, holder, patience)
        finally:
            lock.release()


def _require_driven(view: RunView) -> Holder:
    run = view.run
    if run.state.is_final:
        raise DefinitionError(f"Run {run.run} is {run.state.name}: there is nothing to cancel.")
    if view.runner is None:
        raise DefinitionError(
            f"Run {run.run} was interrupted ({run.state.name}), and nobody drives it: there is "
            "nothing to cancel.",
            hint=resume_hint(run),
        )
    _require_stoppable(run)
    return view.runner


def stop_served(run: RunStatus, settings: Settings, who: str) -> None:
    """Tell the workers of a run that Temporal drives: they look into its journal."""
    with settings.open(write=True) as journal:
        run = load_run(journal, run.run)
        if run.served is None or run.interrupts:
            return
        lease = journal.join(run.definition.target, run.run, run.epoch)
        journal.append(run.run, ev.InterruptReceived(signal=who, count=1), lease)


def _require_stoppable(run: RunStatus) -> None:
    if run.direction == "back" and not run.backward_only:
        raise DefinitionError(
            f"Run {run.run} is being undone: a first signal lets that go on, so none was sent.",
            hint=f"`alma-pulumi status {run.word}` tells how it stands.",
        )


def _ask(holder: Holder, run_id: str) -> None:
    from alma.system.stopping import UnprovenError, ask_to_stop  # psutil: only once it is needed

    process = holder.process
    try:
        ask_to_stop(process)
    except UnprovenError as error:
        raise RefusedError(
            f"Run {run_id} is driven by pid {process.pid}, which {error}: nothing was sent.",
            hint=f"Stop it where it runs: as {holder.actor}, with Ctrl-C or `kill`.",
        ) from error


def _heard(journal: Journal, before: RunStatus, holder: Holder, patience: float) -> RunView:
    """How the run stands once its runner has noted it, or has ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        view = view_run(journal, before.run)
        if view.run.interrupts or view.runner is None or view.runner.epoch != holder.epoch:
            return view
        time.sleep(_PAUSE)
    raise AlmaError(
        f"Run {before.run} has not answered within {patience:g} s: pid {holder.process.pid} was "
        "sent SIGTERM, and has noted nothing.",
        hint="It may be held up by code that blocks it. It stops as soon as it can.",
    )
