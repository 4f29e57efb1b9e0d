"""A kind of step from outside of alma: a note in a file of its own, by an import path."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alma import AlmaError, Secret
from alma.steps import (
    Check,
    Compensated,
    Definition,
    DoctorOptions,
    Failure,
    Operation,
    Outcome,
    Retained,
    Session,
    SessionOptions,
    Step,
    StepContext,
    StepDefinition,
    StepHandler,
    StepPreview,
    digest,
    inputs_of,
    journaled_values,
    lacking,
)

opened: list[str] = []
"""What happened to sessions."""


class Desk(Session):
    """All notes of a saga are written at one; `closed` refuses."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.closed = False

    async def check(self) -> Mapping[str, str]:
        if Path("no-desk").exists():  # noqa: ASYNC240 - in a test
            raise AlmaError("There is no desk to write at.", hint="Buy one.")
        return {"desk": "oak"}


@dataclass(frozen=True, kw_only=True)
class Note(Step):
    """`text` and the inputs are written to `path`."""

    path: Path
    text: str
    token: Secret | None = None

    def kind_fields(self) -> dict[str, Any]:
        settings = {"path": str(self.path), **journaled_values(dict(self.inputs))}
        if self.token:
            settings["secrets"] = [*settings["secrets"], "token"]
        return {"compensation": "erase", "settings": settings}

    def bind(self, session: Desk) -> NoteHandler:
        return NoteHandler(
            name=self.name,
            path=self.path,
            text=self.text,
            inputs=self.inputs,
            digest=digest(self.text),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Desk | None) -> NoteHandler:
        return NoteHandler(
            name=definition.name,
            path=Path(definition.settings["path"]),
            inputs=inputs_of(definition),
            lacks=lacking(definition),
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, definition: Definition, asked: SessionOptions) -> AsyncIterator[Desk]:
        opened.append(f"open for {definition.target}")
        yield Desk(len(definition.steps))
        opened.append("closed")

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:
        runs = ", ".join(f"{run.state.name}" for run in asked.runs)
        return (Check(name="desk", level="ok", message=f"oak; last runs: {runs}"),)


@dataclass(kw_only=True)
class NoteHandler(StepHandler):
    name: str
    path: Path
    text: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    lacks: str = ""

    async def execute(self, call: StepContext) -> None:
        async def work(operation: Operation) -> Outcome:
            values = await call.inputs()
            if self.text == "blot":
                raise OSError("the pen leaks")
            self.path.write_text(json.dumps({"text": self.text, **values}))
            return Outcome(outputs={"length": len(self.text), **values})

        await call.perform("action", work)

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        async def work(operation: Operation) -> Outcome:
            self.path.unlink(missing_ok=True)
            gone = not self.path.exists()
            return Outcome(failure=None if gone else Failure(kind="unverified", message="there"))

        outcome = await call.perform("compensation", work)
        return None if outcome.failure else Compensated(how="called")

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        if self.text == "blot":
            raise OSError("the pen leaks")
        return StepPreview(what=f"write {self.path.name}", undo="erase it", undoable=True)
