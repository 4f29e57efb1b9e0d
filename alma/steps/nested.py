"""What a step may ask of the runner beside its own turn: an answer, and runs of other sagas.

A saga is whatever a `Saga` is: a room above this one knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from alma.core.approval import Plan
from alma.core.definition import Definition
from alma.core.event_parts import Parent
from alma.core.events import Failure
from alma.core.operation import Difference
from alma.core.result import Result
from alma.core.run import RunStatus


class Asking(Protocol):
    """What a step may tell of itself and ask for, beside its operations: the runner's."""

    async def foresee(self) -> Plan:
        """What the steps that come after it would do, as things are now; touches nothing."""
        ...

    def adopt(self, item: str, run: str, target: str) -> None:
        """Name a run that is about to begin as a part of the step."""
        ...

    def ask(self, approvers: Sequence[str], timeout: float | None, plan: Plan) -> None:
        """Put the plan to these people. The run waits then, and may be resumed much later."""
        ...


class WaitsError(Exception):
    """Raised by work that cannot go on before somebody has answered; nothing of it is under way."""


class Defined(Protocol):
    """A saga, as far as a step of another one looks at it."""

    name: str
    stack: str

    @property
    def target(self) -> str:
        """What its runs are runs of."""
        ...

    @property
    def steps(self) -> Sequence[Any]:
        """Its steps, in their order."""
        ...

    def definition(self) -> Definition:
        """As data. Raises DefinitionError."""
        ...


class Foreseen(Struct, frozen=True, kw_only=True):
    """What a run of a saga would do; `steps` are its own, each as it would be told."""

    changes: Mapping[str, int] | None
    steps: tuple[str, ...]
    undoable: bool
    at_risk: tuple[Difference, ...] = ()
    failure: Failure | None = None


class Nested(Protocol):
    """Makes runs that are a part of this one; each has its own lease, and journals by itself.

    Raises SagaEndedErrors with their results, and AlmaErrors as for any run.
    """

    def new_run(self) -> str:
        """An id for a run that is about to begin."""
        ...

    def find(self, run: str) -> RunStatus | None:
        """How a run stands; None where it never began."""
        ...

    def known(self, parent: str, step: str) -> Sequence[RunStatus]:
        """The runs that have begun as this step of the runs of a target, newest first."""
        ...

    async def reveal(self, run: str) -> Mapping[str, Mapping[str, Any]]:
        """The outputs of a run by step, with opened secrets."""
        ...

    async def up(self, saga: Any, run: str, parent: Parent, inputs: Mapping[str, Any]) -> Result:
        """A new run of the saga, to its end."""
        ...

    async def go_on(self, saga: Any, run: str, parent: Parent) -> Result:
        """Go on with a run in the direction it had; of one that is over its end is told."""
        ...

    async def undo(self, saga: Any, run: str, parent: Parent) -> Result:
        """Undo a run, a completed one as well; by the journal alone where there is no saga."""
        ...

    async def destroy(self, saga: Any, run: str, parent: Parent) -> Result:
        """Take down what the saga has made, as a new run."""
        ...

    async def preview(self, saga: Any, inputs: Mapping[str, Any]) -> Foreseen:
        """What `up` would do. Inputs that are not there are not known yet."""
        ...
