"""Runs as the journal would hold them, for the rule book's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from alma import Saga
from alma.core import events as ev
from alma.core.run import RunStatus
from alma.core.state import apply

T0 = datetime(2026, 1, 31, tzinfo=UTC)


class History:
    """Events as the journal would hold them, numbered and stamped."""

    def __init__(self, saga: Saga, kind: ev.RunKind = "up") -> None:
        self.run = RunStatus()
        self.epoch = 1
        definition = saga.definition()
        self.add(
            ev.RunCreated(
                saga=saga.name,
                stack=saga.stack,
                kind=kind,
                definition=definition.to_json(),
                digest=definition.digest,
            )
        )
        self.attach()

    def add(self, *events: ev.Event) -> RunStatus:
        for event in events:
            seq = self.run.seq + 1
            at = T0 + timedelta(seconds=seq)
            apply(self.run, ev.Recorded(run="r", seq=seq, at=at, epoch=self.epoch, event=event))
        return self.run

    def attach(self) -> RunStatus:
        process = ev.Process(host="h", pid=1, started=0.0)
        return self.add(ev.RunnerAttached(process=process, actor="a@h"))

    def start(self, step: str, attempt: int = 1) -> RunStatus:
        if self.run.steps[step].started is None:
            self.add(ev.StepStarted(step=step))
        kind = "up" if self.run.steps[step].definition.kind == "stack" else "action"
        return self.add(intended(step, kind, attempt))

    def succeed(self, step: str) -> RunStatus:
        self.start(step)
        return self.add(ev.OperationSucceeded(step=step, operation=step, kind="up"))

    def fail(self, step: str, attempt: int = 1, kind: str = "provider") -> RunStatus:
        self.start(step, attempt)
        failure = ev.Failure(kind=kind, message="boom")
        return self.add(ev.OperationFailed(step=step, operation=step, kind="up", failure=failure))

    def turn(self) -> RunStatus:
        return self.add(ev.CompensationStarted(reason="it failed"))

    def undo(self, step: str) -> RunStatus:
        return self.add(
            intended(step, "destroy", 1),
            ev.OperationSucceeded(step=step, operation=step, kind="destroy"),
            ev.StepCompensated(step=step, how="destroyed"),
        )

    def fail_undo(self, step: str, attempt: int = 1) -> RunStatus:
        failure = ev.Failure(kind="provider", message="still there")
        left = (ev.Leftover(step=step, reason="still there"),)
        return self.add(
            intended(step, "destroy", attempt),
            ev.OperationFailed(
                step=step, operation=step, kind="destroy", failure=failure, leftovers=left
            ),
        )


def intended(step: str, kind: Any, attempt: int) -> ev.OperationIntended:
    return ev.OperationIntended(step=step, operation=step, kind=kind, attempt=attempt)


def chain(*names: str, **options: Any) -> Saga:
    saga = Saga("s", **options)
    for name in names:
        saga.add_stack(name, program=print)
    return saga


def diamond(**options: Any) -> Saga:
    saga = Saga("s", **options)
    saga.add_stack("base", program=print)
    saga.add_stack("left", program=print, after=["base"])
    saga.add_stack("right", program=print, after=["base"])
    saga.add_stack("top", program=print, after=["left", "right"])
    return saga


def names(commands: Any) -> list[str]:
    return [command.step for command in commands]
