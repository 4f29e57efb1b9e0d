"""What is Postgres' own: schemas, readers, keys, clocks, and what its text cannot hold."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alma.errors import AuthenticationError, JournalError, UntrustedJournalError
from alma.journal import open_journal
from alma.journal.encryption import KEY, new_key
from alma.journal.postgres.schema import VERSION
from alma.runner.settings import Settings
from tests.journal.postgres import connected
from tests.journal.tools import created, intended

pytestmark = pytest.mark.usefixtures("key")


def test_a_newer_almas_journal_is_left_alone(journal: str) -> None:
    with connected(journal) as connection:
        connection.execute("INSERT INTO alma_journal VALUES (%s)", (VERSION + 1,))
    for write in (False, True):
        with pytest.raises(JournalError, match=rf"newer alma: its schema is version {VERSION + 1}"):
            open_journal(journal, write=write)


def test_tables_of_something_else_are_left_alone(database: str) -> None:
    with connected(database) as connection:
        connection.execute("CREATE TABLE events (mine integer)")
        with pytest.raises(JournalError, match="something else than alma's journal: events"):
            open_journal(database, write=True)
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'runs'")


def test_a_schema_of_its_own_has_leases_of_its_own(journal: str) -> None:
    """Two journals in a database, and in two databases, have nothing to do with each other."""
    with connected(journal) as connection:
        connection.execute('CREATE SCHEMA "An other"')
    other = f"{journal}&options=-csearch_path%3D%22An%5C%20other%22"
    with (
        open_journal(journal, write=True) as one,
        open_journal(other, write=True) as two,
        one.acquire("shop/dev", "r2"),
    ):
        assert two.runs() == []
        assert one.is_held("shop/dev")
        assert not two.is_held("shop/dev")
        assert one.path != two.path
        with two.acquire("shop/dev", "r3") as lease:
            assert lease.epoch == 1
        assert two.verify().ok


def test_a_reader_makes_nothing_and_sees_what_comes_later(database: str) -> None:
    with open_journal(database, write=False) as reader, connected(database) as connection:
        assert reader.runs() == []
        assert reader.verify().ok
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(query).fetchone() == (0,)
        with pytest.raises(JournalError, match="reading only"):
            reader.acquire("shop/dev", "r1")
        open_journal(database, write=True).close()
        with connected(database) as again:
            assert again.execute(query).fetchone() != (0,)
        assert reader.runs() == []


def test_without_a_key_that_others_have_nothing_is_written(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of this host alone would be no use on another: the sentence says what to do."""
    monkeypatch.delenv(KEY)
    with pytest.raises(AuthenticationError, match="shared, and there is no key") as refused:
        open_journal(database, write=True)
    assert "ALMA_JOURNAL_KEY" in refused.value.hint
    assert "openssl rand" in refused.value.hint
    with pytest.raises(AuthenticationError, match="shared, and there is no key"):
        Settings(journal=database).open(write=False)
    with open_journal(database, write=False) as reader:
        assert reader.runs() == []


def test_another_key_is_another_user(journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, new_key())
    with pytest.raises(UntrustedJournalError):
        Settings(journal=journal).open(write=False)


def test_what_is_kept_beside_it_is_this_users_own_and_this_journals(journal: str) -> None:
    """By the server and the database, whatever the URL calls them."""
    again = journal.replace("postgres://", "postgresql://").replace("127.0.0.1", "localhost")
    with open_journal(journal, write=False) as one, open_journal(again, write=False) as two:
        assert one.path == two.path == Settings(journal=again).kept_beside
        state = Path(os.environ["XDG_STATE_HOME"], "alma")
        assert one.path.is_relative_to(state / "journals")
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_what_postgres_cannot_hold_as_json_is_in_its_views_all_the_same(database: str) -> None:
    """NUL, half a surrogate pair, and the text of an escape, which is none."""
    message = "a\0b \ud800 \\u0000 \\\\u0000"
    with open_journal(database, write=True) as journal, journal.acquire("shop/dev", "r1") as lease:
        journal.create_run("r1", created(), lease)
        event = intended()
        journal.append("r1", type(event)(**{**_fields(event), "operation": message}), lease)
        assert journal.verify().ok
    with connected(database) as connection:
        row = connection.execute("SELECT operation FROM operations").fetchone()
        assert row is not None
        assert row[0].startswith("a\ufffdb \ufffd \\u0000")
        assert connection.execute("SELECT count(*) FROM steps").fetchone() == (2,)


def _fields(event: object) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}  # type: ignore[attr-defined]


def test_without_psycopg_one_sentence_says_what_to_install(database: str) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None; import importlib.util as u; "
        "real = u.find_spec; u.find_spec = lambda n, *a: None if n == 'psycopg' else real(n, *a); "
        "from alma.cli import main; sys.argv = ['alma-pulumi', 'runs', '--json']; main()"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ALMA_JOURNAL": database},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert said.returncode == JournalError.exit_code
    assert "pip install 'alma-pulumi[postgres]'" in json.dumps(json.loads(said.stdout))


def test_what_expires_goes_by_the_server_s_clock(journal: str) -> None:
    """A host whose clock is a year behind takes nothing down too late, and none too early."""
    with connected(journal) as connection:
        (before,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    wrong = datetime.now(UTC) - timedelta(days=365)
    with open_journal(journal, write=False, clock=lambda: wrong) as opened:
        now = opened.now()
    assert before is not None
    assert timedelta(0) <= now - before < timedelta(hours=1)
