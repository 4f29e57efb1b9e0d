"""Whatever is in the file: one sentence and 11, or an answer; no traceback, and no endless wait."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from alma.core import events as ev
from alma.core.definition import StepDefinition
from alma.journal import open_journal
from alma.journal.chain import row_hash
from alma.system.processes import PLACE
from tests.journal.tools import tampered
from tests.security.planting import SAGA, plant

Cli = Callable[..., Result]
LOOKING = [["verify"], ["runs"], ["status"], ["history", "latest"]]
ACTING = [
    ["up", "saga.py"],
    ["skip", "latest", "database", "--reason", "x"],
    ["rollback", "latest"],
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """An own journal, with a run whose action was cut off while it went back."""
    (tmp_path / "saga.py").write_text(SAGA)
    path = tmp_path / ".alma" / "journal.db"
    plant(
        path,
        [StepDefinition(name="database", kind="action", compensation="nothing")],
        ev.StepStarted(step="database"),
        ev.OperationIntended(step="database", operation="o-1", kind="action"),
        ev.ProcessSpawned(
            step="database",
            operation="o-1",
            role="cli",
            process=ev.Process(host=PLACE, pid=3, started=1.0),
        ),
        ev.CompensationStarted(reason="x"),
    )
    return path


def ended(cli: Cli, words: list[str]) -> int:
    """The exit code of a command, which is never at a loss."""
    result = cli(*words)
    assert "bug in alma" not in result.output, (words, result.output)
    return int(result.exit_code)


def resealed(path: Path) -> None:
    """The chains, and seals under the user's own key: what the rows say is all that is odd."""
    with closing(sqlite3.connect(path)) as connection:
        tables = ("events", "position"), ("leases", "number")
        found = {
            (table, key): connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608
            for table, key in tables
        }
    for (table, key), rows in found.items():
        prev = "0" * 64
        for row in rows:
            digest = row_hash(prev, row[:-2])
            update = f"UPDATE {table} SET prev = ?, hash = ? WHERE {key} = ?"  # noqa: S608
            tampered(path, update, values=(prev, digest, row[0]))
            prev = digest
    with open_journal(path, write=True) as opened:
        opened.seal_again()


# -- the schema ---------------------------------------------------------------------------------

SCHEMAS = {
    "trigger spy": "CREATE TRIGGER spy AFTER INSERT ON leases BEGIN DELETE FROM runs; END",
    "view spy": "CREATE VIEW spy AS SELECT * FROM events",
    "table spy": "CREATE TABLE spy (x)",
    "index spy": "CREATE INDEX spy ON events (type)",
    "an endless view": "DROP TABLE runs; CREATE VIEW runs AS WITH RECURSIVE r(n) AS "
    "(SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n AS position, 'r' AS run, 't' AS target, "
    "'s' AS saga, 't' AS stack, 'up' AS kind, 'x' AS created_at FROM r",
    "another guard": "DROP TRIGGER runs_no_update; CREATE TRIGGER runs_no_update BEFORE UPDATE ON "
    "runs BEGIN SELECT 1; END",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_that_is_not_almas_is_refused(journal: Path, cli: Cli, name: str) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.executescript(SCHEMAS[name])
    assert [ended(cli, words) for words in (*LOOKING, *ACTING)] == [11] * 7
    result = cli("runs")
    expected = {"an endless view": "runs was", "another guard": "runs_no_update was"}
    assert expected.get(name, f"the {name} in its schema is not alma's") in result.stderr


# -- the rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["x", 2**63 - 1], ids=repr)
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("events", "seq"),
        ("events", "epoch"),
        ("events", "at"),
        ("events", "data"),
        ("events", "run"),
        ("runs", "target"),
        ("leases", "epoch"),
        ("leases", "pid"),
        ("leases", "started"),
        ("leases", "acquired_at"),
        ("seals", "seq"),
        ("seals", "digest"),
    ],
)
def test_a_value_that_fits_no_column_is_named(
    journal: Path, cli: Cli, table: str, column: str, value: object
) -> None:
    """`verify` finds each, whichever command finds it first."""
    key = {"events": "position", "runs": "position", "leases": "number", "seals": "run"}[table]
    last = f"WHERE {key} = (SELECT max({key}) FROM {table})"  # noqa: S608
    tampered(journal, f"UPDATE {table} SET {column} = ? {last}", values=(value,))  # noqa: S608
    assert ended(cli, ["verify"]) == 11
    for words in (*LOOKING, ACTING[-1]):
        assert ended(cli, words) in (0, 4, 6, 11)  # what it need not read it may do without


DATA: dict[str, tuple[int, Callable[[dict[str, Any]], Any] | str]] = {
    "nested deep": (6, '{"reason":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "no object": (6, "null"),
    "empty": (6, ""),
    "a mistyped field": (5, lambda data: data["process"].update(pid="x")),
    "no step": (1, lambda data: data["definition"].update(steps=[])),
    "an unknown step": (
        1,
        lambda data: data["definition"]["steps"][0].update(dependencies=["nope"]),
    ),
    "a retry that is none": (
        1,
        lambda data: data["definition"]["steps"][0].update(retry={"attempts": -1}),
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_an_event_that_makes_no_sense_is_refused(journal: Path, cli: Cli, name: str) -> None:
    position, change = DATA[name]
    text = change
    if not isinstance(change, str):
        with closing(sqlite3.connect(journal)) as connection:
            query = "SELECT data FROM events WHERE position = ?"
            data = json.loads(connection.execute(query, (position,)).fetchone()[0])
        change(data)
        text = json.dumps(data)
    tampered(journal, "UPDATE events SET data = ? WHERE position = ?", values=(text, position))
    resealed(journal)
    assert [ended(cli, words) for words in (["status"], *ACTING)] == [11] * 4
    assert ended(cli, ["history", "latest"]) in (
        0,
        11,
    )  # it shows events, and makes nothing of them


@pytest.mark.parametrize("at", ["x", "2026-01-01T00:00:00"])
@pytest.mark.parametrize("position", [1, 6])
def test_a_time_that_is_none_is_refused(journal: Path, cli: Cli, at: str, position: int) -> None:
    tampered(journal, "UPDATE events SET at = ? WHERE position = ?", values=(at, position))
    resealed(journal)
    for words in (["verify"], ["history", "latest"], ["status"], *ACTING):
        assert ended(cli, words) == 11


@pytest.mark.parametrize("pid", [-1, 0, 2**40])
def test_a_process_that_cannot_be_is_none(journal: Path, cli: Cli, pid: int) -> None:
    tampered(
        journal,
        """UPDATE events SET data = replace(data, '"pid":3', ?) WHERE position = 5""",
        values=(f'"pid":{pid}',),
    )
    resealed(journal)
    assert cli("status").exit_code == 0
    assert cli("rollback", "latest").exit_code == 4


def test_a_run_without_events_is_refused(journal: Path, cli: Cli) -> None:
    tampered(journal, "DELETE FROM events")
    for words in (["verify"], ["status"], *ACTING):
        assert ended(cli, words) == 11, words


def test_a_run_that_is_listed_elsewhere_is_refused(journal: Path, cli: Cli) -> None:
    tampered(journal, "UPDATE runs SET target = 'blog/dev'")
    for words in (["status"], ["rollback", "latest"]):
        result = cli(*words)
        assert result.exit_code == 11, result.output
        assert "listed as one of blog/dev" in result.stderr
