"""A journal for each test, and patience."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma.runner.notices import beside, sending


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / ".alma" / "journal.db"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has much else to do loses no test."""
    monkeypatch.setenv("HOOK", "")
    monkeypatch.setattr(beside, "GRACE", 60.0)
    monkeypatch.setattr(sending, "SECONDS", 60.0)
