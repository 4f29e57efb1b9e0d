"""A file that is damaged, at whatever byte, is refused or found."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alma.errors import JournalError
from alma.journal import open_journal
from alma.journal.chain import Head
from tests.journal.tampering import first_break, verified
from tests.journal.tools import content, open_at, tampered


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


def test_a_damaged_index_is_found(copy: Path) -> None:
    """The chain is whole and yet the file is not: SQLite's own check is a part of verify."""
    connection = sqlite3.connect(copy)
    query = "SELECT rootpage FROM sqlite_master WHERE name = 'runs_by_target'"
    (page,) = connection.execute(query).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    image = copy.read_bytes()
    at = image.index(b"blog/dev", (page - 1) * size)
    assert at < page * size
    copy.write_bytes(image[:at] + b"blog/dex" + image[at + 8 :])
    assert "the file is damaged: " in str(first_break(copy))


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(
    data: st.DataObject, sound: Path, spoiled: Path, head: Head
) -> None:
    """Anywhere in the file: refused on opening, found by verify, or not a bit of content at all.

    A seal's own code is held against a key: what verify says of such a run is that it is another's.
    """
    image = bytearray(sound.read_bytes())
    offset = data.draw(st.integers(0, len(image) - 1))
    image[offset] ^= 1 << data.draw(st.integers(0, 7))
    spoiled.write_bytes(image)
    try:
        with open_at(spoiled, write=False) as journal:
            found = not journal.verify(head).ok or journal.others()
    except JournalError:
        return
    assert found or content(spoiled) == content(sound)


@pytest.mark.parametrize("column", ["seq", "hash", "digest"])
def test_a_seal_that_says_otherwise_than_the_events_is_found(copy: Path, column: str) -> None:
    """By anybody: it takes no key."""
    tampered(copy, f"UPDATE seals SET {column} = 7 WHERE run = 'r1'")  # noqa: S608
    assert "run r1: " in str(first_break(copy))


def test_a_seal_with_another_code_makes_the_run_anothers(copy: Path) -> None:
    tampered(copy, "UPDATE seals SET mac = upper(mac) WHERE run = 'r1'")
    with open_at(copy, write=False) as journal:
        assert journal.verify().ok
        assert journal.others() == ["r1"]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_file_that_was_cut_off_is_found(
    data: st.DataObject, sound: Path, spoiled: Path, head: Head
) -> None:
    """At whatever byte: refused on opening or found by verify."""
    image = sound.read_bytes()
    spoiled.write_bytes(image[: data.draw(st.integers(1, len(image) - 1))])
    with contextlib.suppress(JournalError):
        assert not verified(spoiled, head).ok


def test_a_schema_that_is_no_text_is_refused(copy: Path) -> None:
    """SQLite names what is damaged in its message, which then cannot be decoded either."""
    image = copy.read_bytes()
    at = image.index(b"CREATE VIEW leftovers")
    copy.write_bytes(image[:at] + b"\xc9" + image[at + 1 :])
    with pytest.raises(JournalError, match="damaged"):
        open_journal(copy, write=False)
