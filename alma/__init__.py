"""alma: several Pulumi stacks go up as one saga, or everything is undone, verified, journaled."""

from typing import TYPE_CHECKING, Any

from alma.context import Context, PendingCreate
from alma.definition import Retry
from alma.errors import AlmaError, DefinitionError, SagaFailed, SagaInterrupted
from alma.events import Leftover
from alma.saga import Saga
from alma.secret import Secret
from alma.status import SagaState
from alma.step import Output

if TYPE_CHECKING:
    from alma.launch import destroy, resume, rollback

__all__ = [
    "AlmaError",
    "Context",
    "DefinitionError",
    "Leftover",
    "Output",
    "PendingCreate",
    "Retry",
    "Saga",
    "SagaFailed",
    "SagaInterrupted",
    "SagaState",
    "Secret",
    "destroy",
    "resume",
    "rollback",
]


def __getattr__(name: str) -> Any:
    """Load what runs a saga only when it is asked for: defining one needs no SQLite."""
    if name in ("destroy", "resume", "rollback"):
        from alma import launch

        return getattr(launch, name)
    raise AttributeError(f"module 'alma' has no attribute {name!r}")
