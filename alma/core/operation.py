"""What an action or a compensation is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
