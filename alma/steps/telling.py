"""What a kind of step may have to tell whether its work is still as it was left."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from alma.core.drift import Drift
from alma.core.operation import Operation
from alma.steps.base import StepContext


@runtime_checkable
class TellsDrift(Protocol):
    """A handler of a kind that can be asked, by what it keeps of its work: not by its program."""

    async def deviations(self, call: StepContext, operation: Operation) -> Drift | None:
        """What is not any more as the step has left it; None where this step has no way to tell.

        Touches nothing. Asked of steps alone that are up by the journal.
        """
        ...


@runtime_checkable
class HoldsSagas(Protocol):
    """A handler whose step is made of runs of other sagas."""

    def saga_of(self, item: str) -> Any:
        """The saga of an item, where it is at hand; else None."""
        ...
