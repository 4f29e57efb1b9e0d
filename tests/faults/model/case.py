"""One case as data: a saga, what is there before it, and what is done to it with which faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alma.testing import Fault, JournalFault

SAGA, STACK = "m", "dev"
CANARY = "canary-5b1f0c77"


@dataclass(frozen=True, kw_only=True)
class Step:
    """`before`: what its stack held: None (no record), or how many of its resources; -1: others."""

    kind: Literal["stack", "action"] = "stack"
    after: tuple[int, ...] = ()
    consumes: bool = False
    size: int = 1
    before: int | None = None
    undo: Literal["destroy", "retain", "callable", "none"] = "destroy"
    pivot: bool = False
    tries: int = 1
    undo_tries: int = 1
    secret: bool = False
    ready: bool = False
    """Whether something must hold after it."""


@dataclass(frozen=True, kw_only=True)
class ActionFault:
    """What goes wrong in the nth call of an action or a compensation of a runner's life.

    A `ready` that fails does so to the end of that life: it is asked again and again.
    """

    step: int
    what: Literal["action", "compensation", "ready"] = "action"
    nth: int = 1
    effect: Literal["fail_before", "fail_after", "crash_before", "crash_after", "hang", "no_json"]


Op = Literal["up", "resume", "rollback", "destroy", "skip", "abandon"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one runner is asked, and what happens to it.

    `signals`, `rival` (somebody else tries to run the target) and `takeover` (a lease taken in
    spite of the lock) name the append right before which it happens. `only` are the steps that an
    `up` or a `destroy` is about, with those that go with them unless `alone`; empty: all.
    """

    op: Op = "up"
    engine: tuple[Fault, ...] = ()
    journal: tuple[JournalFault, ...] = ()
    actions: tuple[ActionFault, ...] = ()
    signals: tuple[int, ...] = ()
    rival: int = 0
    takeover: int = 0
    step: int = 0
    only: tuple[int, ...] = ()
    alone: bool = False

    @property
    def quiet(self) -> bool:
        """Whether nothing happens to it."""
        return not (
            self.engine
            or self.journal
            or self.actions
            or self.signals
            or self.rival
            or self.takeover
        )


@dataclass(frozen=True, kw_only=True)
class Case:
    """All of it; its `repr` can be pasted into a test."""

    steps: tuple[Step, ...]
    turns: tuple[Turn, ...] = (Turn(),)
    parallelism: int = 2
    on_failure: Literal["compensate", "stop"] = "compensate"

    def name(self, index: int) -> str:
        """A step's name."""
        return f"s{index}"

    def project(self, index: int) -> str:
        """A stack step's project."""
        return f"{SAGA}-s{index}"
