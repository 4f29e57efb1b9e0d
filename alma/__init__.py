"""alma: several Pulumi stacks go up as one saga, or everything is undone, verified, journaled."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alma.core.definition import LocalStack, Retry
    from alma.core.events import Leftover
    from alma.core.operation import Context, PendingCreate
    from alma.core.result import SagaFailed, SagaInterrupted
    from alma.core.run import SagaState
    from alma.core.secret import Secret
    from alma.errors import AlmaError, DefinitionError
    from alma.pulumi.automation.select import select
    from alma.runner import destroy, resume, rollback
    from alma.runner.drift import drift
    from alma.saga.notify import NotifyCommand, Slack, Webhook
    from alma.saga.saga import Saga
    from alma.steps.http.request import Request
    from alma.steps.step import Output

__all__ = [
    "AlmaError",
    "Context",
    "DefinitionError",
    "Leftover",
    "LocalStack",
    "NotifyCommand",
    "Output",
    "PendingCreate",
    "Request",
    "Retry",
    "Saga",
    "SagaFailed",
    "SagaInterrupted",
    "SagaState",
    "Secret",
    "Slack",
    "Webhook",
    "destroy",
    "drift",
    "resume",
    "rollback",
    "select",
]

_HOMES = {
    "core.operation": ("Context", "PendingCreate"),
    "core.definition": ("LocalStack", "Retry"),
    "errors": ("AlmaError", "DefinitionError"),
    "core.result": ("SagaFailed", "SagaInterrupted"),
    "core.events": ("Leftover",),
    "pulumi.automation.select": ("select",),
    "runner": ("destroy", "resume", "rollback"),
    "runner.drift": ("drift",),
    "steps.http.request": ("Request",),
    "saga.notify": ("NotifyCommand", "Slack", "Webhook"),
    "saga.saga": ("Saga",),
    "core.secret": ("Secret",),
    "core.run": ("SagaState",),
    "steps.step": ("Output",),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: `--help` needs none of it, and defining a saga no SQLite."""
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"alma.{module}"), name)
            return value
    raise AttributeError(f"module 'alma' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
