"""`verify` finds whatever was changed behind the journal's back, and names the first place."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alma.errors import JournalError
from alma.journal.chain import Head, Verdict, row_hash
from alma.journal.rows import EventRow
from tests.journal.tampering import COLUMNS, EVENTS, first_break, rehashed, resealed, verified
from tests.journal.tools import MEMORY, content, copy_to, open_at, sqlite_of, tampered


@pytest.fixture(scope="module", params=[".db", MEMORY])
def suffix(request: pytest.FixtureRequest) -> str:
    """The walk is one for all stores; what Postgres lets be changed: test_postgres_guards.py."""
    return str(request.param)


def test_a_sound_journal_is_whole(sound: Path, head: Head) -> None:
    """Nothing to name; the verdict counts events and runs and gives the chain's end."""
    assert verified(sound, head) == Verdict(events=EVENTS, runs=3, head=head, first_break=None)


def test_the_chain_can_be_computed_without_alma(sound: Path) -> None:
    """The algorithm is the one that docs/journal.md gives."""
    for table in (0, 2):  # events and leases
        prev = "0" * 64
        for *columns, found_prev, found in content(sound)[table]:
            text = json.dumps([prev, *columns], ensure_ascii=False, separators=(",", ":"))
            assert found_prev == prev
            assert found == hashlib.sha256(text.encode()).hexdigest()
            prev = str(found)


def test_the_chain_can_be_computed_in_sql(sound: Path) -> None:
    """SQLite's json_array gives the same text, so one query finds an edited event."""
    with sqlite_of(sound) as connection:
        connection.create_function(
            "sha256", 1, lambda text: hashlib.sha256(text.encode()).hexdigest()
        )
        query = (
            "SELECT count(*) FROM events WHERE hash = "
            "sha256(json_array(prev, position, run, seq, at, epoch, type, step, data))"
        )
        assert connection.execute(query).fetchone() == (EVENTS,)


def other(value: Any, drawn: Any) -> Any:
    """A value that is not the one that is there."""
    assume(drawn != value)
    assume(not (isinstance(value, float) and str(drawn) == str(value)))
    return drawn


VALUES = st.one_of(
    st.text(max_size=3), st.integers(-5, 100), st.binary(max_size=3), st.sampled_from(["r1", "r9"])
)


@settings(max_examples=75, deadline=None)
@given(data=st.data())
def test_any_edit_of_one_value_is_found(
    data: st.DataObject, sound: Path, spoiled: Path, head: Head
) -> None:
    """Whatever column of whatever row of whatever table; an event is named by its position."""
    copy_to(sound, spoiled)
    names = list(COLUMNS)
    table = data.draw(st.sampled_from(names))
    row = data.draw(st.sampled_from(content(sound)[names.index(table)]))
    column = data.draw(st.sampled_from(COLUMNS[table]))
    old = row[COLUMNS[table].index(column)]
    value = other(old, data.draw(VALUES))
    update = f"UPDATE {table} SET {column} = :value WHERE {COLUMNS[table][0]} = {row[0]}"  # noqa: S608
    try:
        tampered(spoiled, update, values={"value": value})
    except sqlite3.IntegrityError:
        assume(False)
    if content(spoiled) == content(sound):
        assume(False)  # SQLite turned it into what was there
    found = first_break(spoiled, head)
    if table == "events" and column != "position":
        assert found.position == row[0]


@settings(max_examples=30, deadline=None)
@given(position=st.integers(1, EVENTS))
def test_any_missing_event_is_found(position: int, sound: Path, spoiled: Path, head: Head) -> None:
    """The event after the gap is named, or the end where the tail is missing."""
    copy_to(sound, spoiled)
    tampered(spoiled, "DELETE FROM events WHERE position = ?", values=(position,))
    found = first_break(spoiled, head)
    assert found.position == (position + 1 if position < EVENTS else EVENTS)
    assert "missing" in found.problem


@settings(max_examples=30, deadline=None)
@given(pair=st.sets(st.integers(1, EVENTS), min_size=2, max_size=2))
def test_any_two_events_that_were_swapped_are_found(
    pair: set[int], sound: Path, spoiled: Path, head: Head
) -> None:
    """Events that changed places no longer follow what was before them."""
    copy_to(sound, spoiled)
    one, two = sorted(pair)
    tampered(
        spoiled,
        "UPDATE events SET position = -:two WHERE position = :one",
        "UPDATE events SET position = :one WHERE position = :two",
        "UPDATE events SET position = :two WHERE position = -:two",
        values={"one": one, "two": two},
    )
    assert first_break(spoiled, head).position == one


@settings(max_examples=20, deadline=None)
@given(run=st.sampled_from(["r1", "r2", "r3"]))
def test_a_removed_run_is_found(run: str, sound: Path, spoiled: Path, head: Head) -> None:
    """One chain over all runs: a run that vanished with all its rows leaves a gap."""
    copy_to(sound, spoiled)
    tampered(spoiled, *(f"DELETE FROM {table} WHERE run = '{run}'" for table in COLUMNS))  # noqa: S608
    first_break(spoiled, head)


def test_a_chain_that_was_computed_anew_is_found_by_an_earlier_head(copy: Path, head: Head) -> None:
    """Only what is kept elsewhere can tell; at the latest at the head's own position."""
    tampered(copy, "UPDATE events SET at = '2020-01-01T00:00:00.000000+00:00' WHERE position = 4")
    rehashed(copy)
    assert verified(copy).ok
    found = first_break(copy, head)
    assert (found.position, "rewritten" in found.problem) == (EVENTS, True)


def test_an_event_that_was_replaced_with_its_hash_is_found(copy: Path) -> None:
    """One row may be made to fit itself: then the row after it does not follow it."""
    columns = (
        *content(copy)[0][3][:3],
        "2020-01-01T00:00:00.000000+00:00",
        *content(copy)[0][3][4:],
    )
    digest = row_hash(str(columns[-2]), columns[:-2])  # type: ignore[arg-type]
    update = "UPDATE events SET at = ?, hash = ? WHERE position = 4"
    tampered(copy, update, values=(columns[3], digest))
    found = first_break(copy)
    assert (found.position, "that one was replaced" in found.problem) == (5, True)


def test_a_tail_that_was_cut_off_is_found_by_an_earlier_head(copy: Path, head: Head) -> None:
    """The chain alone cannot know that it was longer; and a seal is changed as easily."""
    tampered(copy, "DELETE FROM events WHERE position = 8")
    resealed(copy)
    assert verified(copy).ok
    assert "expected head is at position 8" in first_break(copy, head).problem


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM events WHERE position = 8", "run r3: of its 2 events 1 are missing"),
        (
            "UPDATE seals SET seq = 1 WHERE run = 'r3'",
            "run r3: 1 events were added after its seal",
        ),
        ("UPDATE seals SET digest = hash", "its events are not those that its seal is of"),
    ],
)
def test_a_seal_that_knows_more_is_found(copy: Path, statement: str, problem: str) -> None:
    """Nobody needs the key for that."""
    tampered(copy, statement)
    assert problem in first_break(copy).problem


def test_an_earlier_head_is_good_for_ever(sound: Path) -> None:
    """What was the end once is a place on the way later."""
    row = EventRow._make(content(sound)[0][3])
    assert verified(sound, Head(position=4, hash=row.hash)).ok


def test_an_event_of_a_stale_epoch_is_found(copy: Path) -> None:
    """Even with its hash computed anew: the epochs of a target never go back."""
    tampered(copy, "UPDATE events SET epoch = 3 WHERE position = 5")
    rehashed(copy)
    found = first_break(copy)
    assert (found.position, found.run, found.seq) == (5, "r1", 3)
    assert "no lease on shop/dev with epoch 3 was ever taken for this run" in found.problem


def test_epochs_out_of_order_are_found(copy: Path) -> None:
    """An event with an older epoch than the one before it was written by a stale runner."""
    tampered(
        copy,
        "UPDATE events SET epoch = 2 WHERE position = 3",
    )
    rehashed(copy)
    found = first_break(copy)
    assert found.position == 5
    assert "epoch 1 of shop/dev after epoch 2" in found.problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("type = 'RunExploded'", "unknown event type 'RunExploded'"),
        ("data = '{}'", "OperationIntended"),
        ("data = '{'", "no event"),
        ("data = '[]'", "no event"),
        ("""data = '{"colour": 1}'""", "colour"),
        (
            """data = json_set(data, '$.attempt', 'x')""",
            "Expected `int`, got `str` - at `$.attempt`",
        ),
    ],
)
def test_an_event_that_cannot_be_understood_is_found(copy: Path, change: str, problem: str) -> None:
    """Its hash may be right: what this version cannot read it does not call whole."""
    tampered(copy, f"UPDATE events SET {change} WHERE position = 3")  # noqa: S608
    rehashed(copy)
    found = first_break(copy)
    assert found.position == 3
    assert problem in found.problem
    with open_at(copy, write=False) as journal, pytest.raises(JournalError, match="seq 2"):
        journal.events("r1")


def test_an_added_event_is_found(copy: Path) -> None:
    """Somebody who adds a row at the end, in order but without its hash."""
    tampered(
        copy,
        "INSERT INTO events SELECT 9, run, 3, at, epoch, 'RunCompleted', '', '{\"step\":\"\"}', "
        "hash, hash FROM events WHERE position = 8",
    )
    assert first_break(copy).position == 9


def test_a_run_without_events_is_found(copy: Path) -> None:
    """A run that is only listed never was."""
    tampered(
        copy,
        "INSERT INTO runs SELECT 20, 'r9', target, saga, stack, kind, created_at FROM runs"
        " WHERE run = 'r1'",
    )
    found = first_break(copy)
    assert (found.run, "listed" in found.problem) == ("r9", True)


def test_a_missing_lease_is_found(copy: Path) -> None:
    """A lease that nothing was written under is missed as well."""
    tampered(copy, "DELETE FROM leases WHERE number = 2")
    assert not verified(copy).ok


def test_reading_an_edited_run_is_refused(copy: Path) -> None:
    """A run is not acted upon when one of its rows was edited, whether or not one verifies."""
    tampered(copy, "UPDATE events SET step = 'servers' WHERE position = 5")
    with open_at(copy, write=False) as journal:
        with pytest.raises(JournalError, match="run r1, seq 3: its content does not match"):
            journal.events("r1")
        assert len(journal.events("r2")) == 2


def test_reading_a_run_with_a_gap_is_refused(copy: Path) -> None:
    """As for a row that is missing."""
    tampered(copy, "DELETE FROM events WHERE position = 3")
    with open_at(copy, write=False) as journal, pytest.raises(JournalError, match="seq 2 is"):
        journal.events("r1")


def test_a_break_reads_as_a_sentence(copy: Path) -> None:
    """Position, run and seq come first, as an operator looks them up."""
    tampered(copy, "UPDATE events SET step = 'servers' WHERE position = 5")
    assert str(first_break(copy)) == (
        "position 5, run r1, seq 3: its content does not match its hash: it was edited"
    )
