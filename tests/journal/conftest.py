"""A sound journal, its head, and copies to be tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma.journal.journal import Head, Journal
from tests.journal.tools import fill


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def head(sound: Path) -> Head:
    with Journal.open(sound, write=False) as journal:
        return journal.head()


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the copies that are tampered with are put, one over the other."""
    return tmp_path_factory.mktemp("tampered") / "journal.db"


@pytest.fixture
def copy(sound: Path, spoiled: Path) -> Path:
    spoiled.write_bytes(sound.read_bytes())
    return spoiled
