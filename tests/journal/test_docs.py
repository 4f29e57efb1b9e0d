"""docs/journal.md names everything that is in the journal, and its commands work."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from alma.core.events import Event, Failure, Leftover, Process, ResourceChange
from alma.journal.sqlite.connection import create
from alma.journal.sqlite.schema import APPLICATION_ID, VERSION
from tests.journal.tools import ROOT, fill

PAGE = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for command in re.findall(r"^(?:sqlite-utils) (?:[^\"\n]|\"[^\"]*\")*$", block, re.MULTILINE)
]


def objects() -> dict[str, list[str]]:
    """The columns of each table and view."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create(connection, VERSION)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        return {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            for (name,) in names.fetchall()
        }


@pytest.mark.parametrize("name", objects())
def test_tables_and_views_are_documented(name: str) -> None:
    """Each with all of its columns, in the part of the page that begins with its name."""
    part = re.split(rf"^`{name}`[,:]", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    part = re.split(r"^(?:`[a-z_]+`[,:]|#)", part, maxsplit=1, flags=re.MULTILINE)[0]
    assert [column for column in objects()[name] if f"`{column}`" not in part] == []


@pytest.mark.parametrize("cls", Event.__subclasses__(), ids=lambda cls: cls.__name__)
def test_events_are_documented(cls: type[Event]) -> None:
    """Each type has a row that names all of its fields."""
    (row,) = re.findall(rf"^\| `{cls.__name__}` \|.*$", PAGE, re.MULTILINE)
    own = [name for name in cls.__struct_fields__ if name != "step"]
    assert [name for name in own if f"`{name}`" not in row] == []


@pytest.mark.parametrize("cls", [Failure, Leftover, Process, ResourceChange])
def test_parts_of_events_are_documented(cls: type) -> None:
    """What events are made of is spelt out in one row at least."""
    names = list(cls.__struct_fields__)
    rows = re.findall(r"^\| `[A-Z]\w+` \|.*$", PAGE, re.MULTILINE)
    assert any(all(f"`{name}`" in row for name in names) for row in rows)


def test_the_application_id_is_documented() -> None:
    """Who looks at a stray file can tell whose it is."""
    assert str(APPLICATION_ID) in PAGE


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_the_commands_work(command: str, tmp_path: Path) -> None:
    """Every sqlite-utils command of the page runs on a journal; a check of the chain finds []."""
    fill(tmp_path / ".alma" / "journal.db")
    arguments = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if "hash" in command:
        assert json.loads(done.stdout) == []
    elif ":run" not in command:
        assert done.stdout.count("\n") > 1 or json.loads(done.stdout)


def test_all_commands_are_tried() -> None:
    """The pattern above misses none."""
    assert len(COMMANDS) == PAGE.count("\nsqlite-utils ")
