from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.examples.conftest import Place

pytestmark = pytest.mark.lives


def tables(place: Place) -> set[str]:
    """What is in the database, but what notes the migrations."""
    with closing(sqlite3.connect(place.directory / "shop.sqlite")) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found} - {"migrations"}


def test_a_migration_is_taken_back_with_the_release(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that was there before the run is left, by the words of the command itself."""
    monkeypatch.setenv("FAIL", "1")
    assert place.python("migration.py").returncode == 4
    assert tables(place) == {"customers"}
    monkeypatch.delenv("FAIL")
    assert place.python("migration.py").returncode == 0
    assert place.alma("status")["outputs"]["orders"] == {"script": "0002_orders.up.sql"}
    assert tables(place) == {"customers", "orders"}
    monkeypatch.setenv("FAIL", "1")
    assert place.python("migration.py").returncode == 4
    assert tables(place) == {"customers", "orders"}
    assert place.alma("destroy", "migration.py")["state"] == "COMPLETED"
    assert tables(place) == {"customers"}
