"""The whole table of a run's states: a pair that is not in it cannot happen."""

from __future__ import annotations

from typing import Final

from alma.core.run import RunStatus, SagaState

PENDING, RUNNING, COMPENSATING = SagaState.PENDING, SagaState.RUNNING, SagaState.COMPENSATING
COMPLETED, FAILED, COMPENSATED = SagaState.COMPLETED, SagaState.FAILED, SagaState.COMPENSATED

TRANSITIONS: Final = {
    PENDING: {RUNNING},
    RUNNING: {COMPENSATING, COMPLETED, FAILED},
    COMPENSATING: {COMPENSATED, FAILED},
    FAILED: {RUNNING, COMPENSATING},
    COMPLETED: {COMPENSATING},
    COMPENSATED: frozenset[SagaState](),
}


class IllegalTransitionError(Exception):
    """An event does not fit the state it was applied to: the journal is not one of alma's."""


def move(run: RunStatus, state: SagaState) -> None:
    """Take the run to another state; IllegalTransitionError where no way leads there.

    COMPLETED is left by a run alone that is a part of another one, when that turns back.
    """
    if state is run.state:
        return
    final = run.state is COMPLETED and (run.parent is None or run.backward_only)
    if final or state not in TRANSITIONS[run.state]:
        raise IllegalTransitionError(
            f"run {run.run}: no way from {run.state.name} to {state.name} (event {run.seq})"
        )
    run.state = state
