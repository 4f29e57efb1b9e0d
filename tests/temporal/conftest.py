from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alma.journal.encryption import KEY
from tests.services.temporal import Temporal
from tests.temporal.replaying import SEALED_BY
from tests.temporal.stage import Stage


@pytest.fixture(autouse=True)
def sealed_by_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SEALED_BY)


@pytest.fixture
def stage(tmp_path: Path, temporal: Temporal) -> Iterator[Stage]:
    """A saga of three steps, and its journal in a file."""
    found = Stage(tmp_path, temporal, str(tmp_path / "alma" / "journal.db"))
    found.write()
    yield found
    found.close()
