from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def own_search_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file's functions were found is no place for the modules of another test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
