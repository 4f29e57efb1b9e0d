"""A journal that version 0.1 wrote, with runs that ended in every way: it means today what it did.

`fixtures/journal-0.1.db.gz` was written by runs of that version over its fake engine: a saga up,
up again and restored, one undone, one that left something behind and whose step was skipped, one
that crashed and was resumed, one interrupted and rolled back, one abandoned, and a destroy.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alma.core.state import fold
from alma.errors import UntrustedJournalError
from alma.journal import open_journal
from alma.journal.store import to_text

FIXTURE = Path(__file__).parent / "fixtures" / "journal-0.1.db.gz"
ENDS = [
    ("up", "COMPLETED"),
    ("up", "COMPLETED"),
    ("restore", "COMPLETED"),
    ("up", "COMPENSATED"),
    ("up", "FAILED"),
    ("up", "COMPLETED"),
    ("up", "COMPENSATED"),
    ("up", "FAILED"),
    ("destroy", "COMPLETED"),
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    path.write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    path.chmod(0o600)
    return path


def test_it_is_read_folded_and_verified(old: Path) -> None:
    with open_journal(old, write=False) as journal:
        runs = [fold(journal.events(row.run)) for row in reversed(journal.runs(limit=99))]
        assert [(run.kind, run.state.name) for run in runs] == ENDS
        assert journal.verify().ok
    assert "von Hand gelöscht" in runs[4].leftovers[0].reason
    assert runs[0].steps["zaehler"].outputs == {
        "kennung": "Zähler-7 ✓",
        "passwort": "[secret]",
        "menge": 3,
        "anteil": 0.5,
        "liste": [1, 2.0, None, True],
    }
    assert type(runs[0].steps["zaehler"].outputs["liste"][1]) is float


def test_every_event_is_written_back_byte_for_byte(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        stored = dict(connection.execute("SELECT run || '/' || seq, data FROM events"))
    with open_journal(old, write=False) as journal:
        entries = [entry for row in journal.runs(limit=99) for entry in journal.events(row.run)]
    assert {f"{entry.run}/{entry.seq}": to_text(entry.event) for entry in entries} == stored
    assert len({entry.event.type for entry in entries}) == 19


def test_the_digest_of_a_definition_is_the_one_that_was_stored(old: Path) -> None:
    """Numbers with and without a fraction included: else `resume` would say "changed"."""
    with closing(sqlite3.connect(old)) as connection:
        rows = connection.execute(
            "SELECT data FROM events WHERE type = 'RunCreated' ORDER BY position"
        )
        stored = [json.loads(data)["digest"] for (data,) in rows]
    with open_journal(old, write=False) as journal:
        runs = [fold(journal.events(row.run)) for row in reversed(journal.runs(limit=99))]
    assert [run.definition.digest for run in runs] == stored
    assert any("1.5" in repr(step.definition.retry) for step in runs[0].steps.values())


def test_it_is_acted_on_once_somebody_says_whose_it_is(old: Path) -> None:
    """Nobody sealed it; to refuse it leaves it as it is, and to take it over is for good."""
    before = old.read_bytes()
    with open_journal(old, write=False) as journal, pytest.raises(UntrustedJournalError):
        journal.act()
    assert old.read_bytes() == before
    with open_journal(old, write=True) as journal:
        journal.adopt()
    with open_journal(old, write=False) as journal:
        runs = [fold(journal.act().events(row.run)) for row in reversed(journal.runs(limit=99))]
        assert [(run.kind, run.state.name) for run in runs] == ENDS
        assert journal.verify().ok
        assert journal.others() == []
