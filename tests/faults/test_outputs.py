"""Large outputs: the journal keeps a digest, whoever consumes one gets all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma import Context, Saga, SagaState
from alma.core.validation import DIGEST_KEY
from alma.runner import up


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("megabytes", [1, 16])
async def test_a_large_output_reaches_its_consumer_and_not_the_journal(
    megabytes: int, tmp_path: Path
) -> None:
    """Row 21."""
    large = "x" * (megabytes * 2**20)
    got: list[int] = []

    def make() -> dict[str, str]:
        return {"value": large}

    def use(context: Context) -> None:
        got.append(len(context.inputs["value"]))

    saga = Saga("large")
    first = saga.add_step(action=make, compensation=lambda: None)
    saga.add_step(action=use, compensation=lambda: None, inputs={"value": first.output("value")})
    result = await up(saga, journal=tmp_path / "journal.db")
    assert result.state is SagaState.COMPLETED
    assert got == [len(large)]
    assert result.status.steps["make"].outputs["value"].keys() == {DIGEST_KEY, "bytes"}
    assert _size(tmp_path) < 2**20
