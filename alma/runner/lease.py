"""Taking the lease on a target, which no other runner has: not in a process, nor in Temporal."""

from __future__ import annotations

import shlex

from alma.core.run import RunStatus
from alma.errors import RunnerBusyError
from alma.journal import Journal
from alma.journal.lease import Lease
from alma.journal.reading import newest_run
from alma.runner.settings import actor


def take(journal: Journal, target: str, run: str, *, over: bool = False) -> Lease:
    """The lease, for this run. Raises RunnerBusyError, naming who has it.

    A workflow holds no lock between its operations, and a new lease would end it. `over` one that
    drives a run, it is taken where nothing is under way.
    """
    last = newest_run(journal, target)
    if last is not None and last.served is not None:
        busy = [step.name for step in last.steps.values() if _at_work(journal, target, step.name)]
        if busy or not over:
            raise served_elsewhere(last, busy)
    return journal.acquire(target, run, actor=actor())


def served_elsewhere(run: RunStatus, busy: list[str], *, runs: bool = False) -> RunnerBusyError:
    """For whom it is not to go on with. `runs`: Temporal has just said that it does."""
    workflow = run.served
    where = f"{workflow.id} in {workflow.namespace} at {workflow.address}" if workflow else ""
    lost = f"If Temporal has lost it, `alma-pulumi resume {run.word}` has it go on."
    if runs and workflow is not None:
        lost = (
            "One that no worker can go on with is ended by `temporal workflow terminate -w "
            f"{shlex.quote(workflow.id)}`."
        )
    at = f", at work on {', '.join(busy)}" if busy else ""
    return RunnerBusyError(
        f"Temporal drives run {run.run} of {run.definition.target}: workflow {where}{at}.",
        hint=f"Ask it to stop: `alma-pulumi cancel {run.word}`. {lost}",
    )


def _at_work(journal: Journal, target: str, step: str) -> bool:
    lock = journal.lock_part(target, step)
    if lock is None:
        return True
    lock.release()
    return False
