"""How often a step looks at its stack: a process each, where its state is in no directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma.core.operation import Operation
from alma.pulumi.engine import Checkpoint, OperationResult, StackRef, UpRequest
from alma.runner import up
from alma.testing import FakeEngine
from tests.runner.helpers import settings, three


class Watched(FakeEngine):
    """Notes each look and each `up`, by project."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    async def inspect(self, ref: StackRef) -> Checkpoint:
        self.calls.append(("look", ref.project))
        return await super().inspect(ref)

    async def up(self, request: UpRequest, operation: Operation) -> OperationResult:
        self.calls.append(("up", request.ref.project))
        return await super().up(request, operation)


@pytest.mark.parametrize("again", [False, True])
async def test_a_step_looks_once_before_it_is_brought_up(tmp_path: Path, *, again: bool) -> None:
    engine = Watched()
    journal = tmp_path / "journal.db"
    for _ in range(1 + again):
        engine.calls.clear()
        await up(three(), settings=settings(engine, journal))
    before = engine.calls[: engine.calls.index(("up", "s-c"))]
    since = before[before.index(("up", "s-b")) :]
    assert since.count(("look", "s-c")) == 1
