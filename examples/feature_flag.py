"""A kind of step of one's own: a feature flag in a JSON file, put back when a later step fails.

A team that has a flag service in place of the file writes the same class over its API. In a
package (`from acme.steps import FeatureFlag`) the journal alone suffices to undo such a step; in
the saga's own file, as here, a rollback reads that file.

    python examples/feature_flag.py             # the flag is on
    FAIL=1 python examples/feature_flag.py      # the release after it fails: off again
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alma import Saga, SagaFailed
from alma.steps import (
    Compensated,
    Failure,
    Leftover,
    Operation,
    Outcome,
    Step,
    StepContext,
    StepDefinition,
    StepHandler,
    StepPreview,
    StepStarted,
    digest,
)


@dataclass(frozen=True, kw_only=True)
class FeatureFlag(Step):
    """The flag `flag` of a file is `on`, or off."""

    file: Path
    flag: str
    on: bool = True

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """The flag: two steps that set it would undo each other's work."""
        return (("flag", f"{self.flag} in {self.file}"),)

    def kind_fields(self) -> dict[str, Any]:
        """What an undo needs to know."""
        settings = {"file": str(self.file.absolute()), "flag": self.flag}
        return {"compensation": "put back", "settings": settings}

    def bind(self, session: object) -> FlagHandler:
        """It can set the flag and put it back."""
        file = self.file.absolute()
        return FlagHandler(
            name=self.name,
            file=file,
            flag=self.flag,
            on=self.on,
            inputs=self.inputs,
            digest=digest(str(file), self.flag, self.on),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: object) -> FlagHandler:
        """It can put the flag back."""
        file, flag = definition.settings["file"], definition.settings["flag"]
        return FlagHandler(name=definition.name, file=Path(file), flag=flag)


@dataclass(kw_only=True)
class FlagHandler(StepHandler):
    """Sets one flag, and puts back what it was."""

    name: str
    file: Path
    flag: str
    on: bool = True
    inputs: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    lacks: str = ""

    async def inspect(self) -> StepStarted:
        """What the flag is: the journal has it before anything is changed."""
        return StepStarted(step=self.name, fingerprint=json.dumps(self.read()))

    async def execute(self, call: StepContext) -> None:
        """Set it. Doing that twice does no harm, and after a crash it is done again."""

        async def work(operation: Operation) -> Outcome:
            self.write(value=self.on)
            return Outcome(outputs={"on": self.read()}, changes={"update": 1})

        await call.perform("action", work)

    async def compensate(self, call: StepContext) -> Compensated | None:
        """Put back what it was; a saga that is destroyed takes it away."""
        started = call.status.started
        before = json.loads(started.fingerprint) if started and call.kind == "up" else None

        async def work(operation: Operation) -> Outcome:
            self.write(value=before)
            if self.read() == before:
                return Outcome(evidence={"flag": before})
            failure = Failure(kind="unverified", message=f"the flag {self.flag} is not put back")
            return Outcome(failure=failure, leftovers=self.left(failure.message))

        outcome = await call.perform("compensation", work)
        return None if outcome.failure else Compensated(how="called", evidence=outcome.evidence)

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:
        """Nothing is touched."""
        before = self.read()
        return StepPreview(
            what=f"set {self.flag} to {self.on}",
            undo=f"set {self.flag} to {before} again" if before is not None else "remove it",
            undoable=True,
            changes={"same" if before == self.on else "update": 1},
        )

    async def leftovers(self, status: Any, reason: str) -> tuple[Leftover, ...]:
        """The flag, if it is not what it was."""
        before = json.loads(status.started.fingerprint) if status.started else None
        return () if self.read() == before else self.left(reason)

    def left(self, reason: str) -> tuple[Leftover, ...]:
        """The flag as a leftover."""
        return (Leftover(step=self.name, id=self.flag, reason=reason),)

    def read(self) -> bool | None:
        """What the flag is; None where there is none."""
        return self.all().get(self.flag)

    def write(self, *, value: bool | None) -> None:
        """Set it, or take it away; nobody sees half a file."""
        flags = {key: one for key, one in self.all().items() if key != self.flag}
        if value is not None:
            flags[self.flag] = value
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(flags))
        new.replace(self.file)

    def all(self) -> dict[str, bool]:
        """All flags of the file."""
        found: dict[str, bool] = json.loads(self.file.read_text()) if self.file.exists() else {}
        return found


def release() -> None:
    """What the flag was set for."""
    if os.environ.get("FAIL"):
        raise RuntimeError("the new checkout does not answer")


saga = Saga("shop")
saga.add(FeatureFlag(name="checkout", file=Path("flags.json"), flag="new-checkout"))
saga.add_step(release, "none")

if __name__ == "__main__":
    try:
        print(saga.run().state.name)
    except SagaFailed as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error
