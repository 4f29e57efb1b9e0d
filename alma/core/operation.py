"""What passes between the runner, the steps and the tools that they use, for one operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from alma.core.events import Process
from alma.core.redaction import Redactor

if TYPE_CHECKING:
    import asyncio


class Operation(Struct, kw_only=True):
    """One operation for whoever does it: its id, its limits, whom to tell (on the event loop).

    `interrupt`, once set, makes the engine send one SIGINT to the CLI, which drains.
    `timeout` (seconds, None for none): at the deadline one SIGINT, after `grace` seconds more
    the whole group is killed. Cancelling the task that awaits the operation abandons the CLI to
    drain by itself.
    """

    id: str
    interrupt: asyncio.Event
    redact: Redactor = field(default_factory=Redactor)
    """What the run knows to be secret: whoever keeps a tool's words takes it out of them, and adds
    what only the tool could tell."""
    timeout: float | None = None
    grace: float = 30.0
    on_process: Callable[[str, Process], None] = lambda _role, _process: None
    """role as in `ProcessSpawned`; a CLI begins when this has returned, and never if it raises."""
    on_signal: Callable[[str, str], None] = lambda _signal, _why: None
    on_resource: Callable[[str, str, bool], None] = lambda _urn, _op, _done: None
    """urn, op, done: a resource's operation began or ended; for display only."""


def aside(interrupt: asyncio.Event) -> Operation:
    """One that no journal knows, for a look ahead: of several at once each is its own."""
    return Operation(id=f"preview-{os.urandom(8).hex()}", interrupt=interrupt)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The one argument of an action or a compensation that asks for it.

    `inputs` are the step's inputs by name; a secret one is a `Secret` (open it by `.value`).
    `outputs` are those of the steps completed so far, by step and name (secrets as `[secret]`:
    take what you need as an input). `key` is an idempotency key: the same for every retry and
    resume of this action of this run, another for its compensation. `in_doubt` says that an
    earlier attempt may already have taken effect. `result` (compensations only) is what the
    action returned, empty when that is not known.
    """

    run: str
    saga: str
    stack: str
    step: str
    key: str
    attempt: int = 1
    in_doubt: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PendingCreate:
    """A resource whose create was cut off: what a step's `resolver` is asked about.

    `inputs` are what it was to be made of, from the state (secrets sealed). The resolver returns
    its physical id, or None when it is seen that it does not exist; it raises when it cannot tell.
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


Resolver = Callable[[PendingCreate], Any]
"""What a step is given to say what became of a create that was cut off."""


class Reconciled(Struct, frozen=True, kw_only=True):
    """What `settle` found: `found` in words, and what was seen and done, for the journal."""

    found: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Difference(Struct, frozen=True, kw_only=True):
    """A resource that is not what a snapshot holds, or not the same one."""

    urn: str
    reason: str
    id: str = ""
