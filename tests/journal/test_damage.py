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
from tests.journal.tools import content


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
    """Anywhere in the file: refused on opening, found by verify, or not a bit of content at all."""
    image = bytearray(sound.read_bytes())
    offset = data.draw(st.integers(0, len(image) - 1))
    image[offset] ^= 1 << data.draw(st.integers(0, 7))
    spoiled.write_bytes(image)
    try:
        verdict = verified(spoiled, head)
    except JournalError:
        return
    assert not verdict.ok or content(spoiled) == content(sound)


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
