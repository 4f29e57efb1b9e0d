"""The application process and the database file it reads."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stacks.local import process, store, web
from stacks.local.process import ProcessError, Started


def start_app(scratch: Path, password: str = "right", **more: Any) -> Started:
    settings = {
        "name": "server-0",
        "db_url": f"sqlite:///{scratch / 'a b.sqlite'}",
        "db_password": password,
        "port": 0,
    }
    return process.start(
        "stacks.local.app", label="server-0", log=scratch / "log", settings=settings | more
    )


def get(started: Started, path: str) -> tuple[int, Any]:
    status, _, body = web.request("GET", f"http://127.0.0.1:{started.port}{path}")
    return status, json.loads(body)


@pytest.fixture
def database(scratch: Path) -> Path:
    path = scratch / "a b.sqlite"
    store.create(path, "me", "right", "hello", ["one", "two"])
    return path


def test_it_answers_from_the_database_as_it_is_now(scratch: Path, database: Path) -> None:
    app = start_app(scratch)
    assert get(app, "/") == (
        200,
        {"server": "server-0", "greeting": "hello", "messages": ["one", "two"]},
    )
    assert get(app, "/healthz") == (200, {"server": "server-0", "status": "ok"})
    assert get(app, "/nope")[0] == 404
    store.fill(database, "hello again", [])
    assert get(app, "/")[1]["greeting"] == "hello again"


def test_it_is_unhealthy_while_the_database_is_gone(scratch: Path, database: Path) -> None:
    app = start_app(scratch)
    database.rename(scratch / "away")
    status, body = get(app, "/healthz")
    assert status == 503
    assert "unable to open database file" in body["error"]
    assert not database.exists(), "asking must not make an empty database"
    (scratch / "away").rename(database)
    assert get(app, "/healthz")[0] == 200


@pytest.mark.usefixtures("database")
def test_it_does_not_start_with_a_wrong_password_and_does_not_tell_it(scratch: Path) -> None:
    with pytest.raises(ProcessError, match=r"^server-0: the database refuses the password$"):
        start_app(scratch, password="wrong-and-secret")
    assert "wrong-and-secret" not in (scratch / "log").read_text()


def test_it_does_not_start_without_a_database(scratch: Path) -> None:
    with pytest.raises(ProcessError, match=r"^server-0: .*a b\.sqlite: unable to open"):
        start_app(scratch)
    with pytest.raises(ProcessError, match=r"^server-0: a database URL looks like sqlite:////"):
        start_app(scratch, db_url="postgres://x")


def test_the_database_is_private_and_holds_no_password(database: Path) -> None:
    assert database.stat().st_mode & 0o777 == 0o600
    assert b"right" not in database.read_bytes()


def test_another_owners_database_is_never_overwritten(scratch: Path, database: Path) -> None:
    with pytest.raises(store.StoreError, match=r"is there already and is not of you$"):
        store.create(database, "you", "p", "mine", [])
    assert store.messages(database, "right")[0] == "hello"
    store.create(database, "me", "p", "anew", [])  # what an interrupted create left
    assert store.messages(database, "p") == ["anew"]
    assert [p.name for p in scratch.iterdir()] == ["a b.sqlite"], "no temporary file is left"


def test_a_file_that_is_no_database_of_ours_is_not_overwritten(scratch: Path) -> None:
    foreign = scratch / "foreign.sqlite"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()
    with pytest.raises(store.StoreError, match="is there already"):
        store.create(foreign, "me", "p", "g", [])
    assert store.owner_of(foreign) is None
