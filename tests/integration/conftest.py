from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def said_to_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of each Pulumi process."""
    notes = tmp_path / "said-to-pulumi"
    monkeypatch.setenv("ALMA_TEST_ARGV", str(notes))
    return notes
