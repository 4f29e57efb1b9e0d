"""What is Postgres' own: who may do what, what is refused, and that nothing shows a password."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from alma.errors import AuthenticationError, JournalError, UntrustedJournalError
from alma.journal import open_journal
from alma.journal.address import PostgresUrl, address_of
from alma.journal.encryption import KEY, new_key
from alma.journal.postgres.schema import VERSION
from alma.runner.settings import Settings
from tests.journal.postgres import connected
from tests.journal.tools import created, intended
from tests.services.postgres import Postgres

WRITE = "INSERT INTO {table} SELECT * FROM {table} LIMIT 1"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The one of all hosts."""
    made = new_key()
    monkeypatch.setenv(KEY, made)
    return made


@pytest.fixture
def journal(database: str) -> str:
    """The URL of one with a run."""
    with (
        open_journal(database, write=True) as journal,
        journal.acquire("shop/dev", "r1", actor="jane@here") as lease,
    ):
        journal.create_run("r1", created(), lease)
        journal.append("r1", intended(), lease)
    return database


@pytest.mark.parametrize("table", ["alma_journal", "runs", "events", "leases"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
        "TRUNCATE {table} CASCADE",
        f"{WRITE} ON CONFLICT ({{column}}) DO UPDATE SET {{column}} = 7",
    ],
)
def test_rows_are_only_ever_added_whoever_asks(journal: str, table: str, statement: str) -> None:
    """A superuser too, unless he takes the guards away."""
    column = {"alma_journal": "version", "leases": "number"}.get(table, "position")
    with connected(journal) as connection:
        before = connection.execute(f"TABLE {table}".encode()).fetchall()
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
            connection.execute(statement.format(table=table, column=column).encode())
        assert connection.execute(f"TABLE {table}".encode()).fetchall() == before


def test_a_seal_is_replaced_and_not_removed(journal: str) -> None:
    with connected(journal) as connection:
        connection.execute("UPDATE seals SET mac = mac")
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
            connection.execute("DELETE FROM seals")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE events DISABLE TRIGGER events_kept", "events_kept was changed"),
        ("DROP TRIGGER runs_in_order ON runs", "runs_in_order is missing"),
        (
            "CREATE TRIGGER mine BEFORE INSERT ON seals EXECUTE FUNCTION rows_are_kept()",
            "mine in its schema is not alma's",
        ),
        (
            "ALTER FUNCTION rows_are_kept() SECURITY DEFINER",
            "rows_are_kept was changed",
        ),
        ("CREATE RULE lost AS ON INSERT TO events DO INSTEAD NOTHING", "events was changed"),
        ("ALTER TABLE runs ENABLE ROW LEVEL SECURITY", "runs was changed"),
        ("DROP VIEW leftovers", "leftovers is missing"),
        ("DROP TABLE leases", "leases is missing"),
    ],
)
def test_a_changed_schema_is_named_and_not_acted_on(journal: str, change: str, words: str) -> None:
    with connected(journal) as connection:
        connection.execute(change.encode())
    for write in (False, True):
        with pytest.raises(JournalError, match=words):
            open_journal(journal, write=write)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE events SET data = replace(data, 'up', 'no') WHERE position = 2", "was edited"),
        ("UPDATE events SET at = at || ' ' WHERE position = 1", "was edited"),
        ("DELETE FROM events WHERE position = 1", "position 1 before it: missing"),
        ("DELETE FROM events WHERE position = 2", "of its 2 events 1 are missing"),
        ("UPDATE leases SET host = 'elsewhere'", "was edited"),
        ("UPDATE runs SET kind = 'destroy'", "list of runs was edited"),
        ("DELETE FROM leases", "no lease on shop/dev with epoch 1"),
    ],
)
def test_what_somebody_did_whom_no_guard_stops_is_found(
    journal: str, change: str, words: str
) -> None:
    with connected(journal) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(change.encode())
    with open_journal(journal, write=False) as reader:
        assert words in str(reader.verify().first_break)


RIGHTS = """
CREATE ROLE {role} LOGIN PASSWORD 'right';
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT ON runs, events, leases, observations, alma_journal TO {role};
GRANT SELECT, INSERT, UPDATE ON seals, deliveries TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON snapshots TO {role};
GRANT SELECT ON history, run_states, operations, steps, leftovers TO {role};
"""
"""As docs/teams.md has them."""


def test_a_role_with_the_rights_that_are_documented_runs_and_cannot_do_more(database: str) -> None:
    """The owner has made the tables."""
    role = f"runner_{uuid4().hex[:8]}"
    open_journal(database, write=True).close()
    documented = (Path(__file__).parents[2] / "docs" / "teams.md").read_text()
    for line in RIGHTS.strip().splitlines():
        assert line.format(role="alma_runner").replace("'right'", "'...'") in documented
    try:
        with connected(database) as connection:
            connection.execute(RIGHTS.format(role=role).encode())
        limited = database.replace("pulumi:pw@", f"{role}:right@")
        with (
            open_journal(limited, write=True) as journal,
            journal.acquire("shop/dev", "r1") as lease,
        ):
            journal.create_run("r1", created(), lease)
            journal.append("r1", intended(), lease)
            assert journal.snapshots is not None
            journal.snapshots.put("a" * 64, b"content")
            journal.snapshots.need("a" * 64)
            assert journal.snapshots.digests() == {"a" * 64}
            journal.snapshots.remove("a" * 64)
            assert journal.verify().ok
        for statement in (
            "UPDATE events SET seq = 7",
            "DELETE FROM leases",
            "TRUNCATE runs",
            "ALTER TABLE events DISABLE TRIGGER ALL",
            "DROP TABLE events",
            "DELETE FROM seals",
        ):
            with (
                connected(limited) as connection,
                pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException)
                ),
            ):
                connection.execute(statement.encode())
    finally:
        with connected(database) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


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


CREDENTIALS = "postgresql://jane:{secret}@127.0.0.1:1/db?sslmode=disable"


@pytest.mark.parametrize(
    "given",
    [
        CREDENTIALS,
        "postgresql://127.0.0.1:1/db?user=jane&password={secret}",
        "postgresql://jane:a@{secret}@127.0.0.1:1/db",
        "postgresql://jane:a?{secret}@127.0.0.1:1/db",
        "postgresql://jane:a/{secret}@127.0.0.1:1/db",
        "postgresql://jane:a#{secret}@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?password=a@{secret}",
        "postgresql://jane:a:{secret}@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?sslpassword={secret}&passfile=/tmp/{secret}",
        "postgresql://jane:%zz{secret}@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?passwort={secret}",
    ],
)
def test_no_error_shows_a_credential(given: str) -> None:
    """A well-formed URL or not: neither the sentence nor its causes have anything of it."""
    secret = f"s3cr{uuid4().hex[:8]}"
    url = given.replace("{secret}", secret)
    with pytest.raises(JournalError) as refused:
        open_journal(url, write=False)
    assert secret not in "".join(traceback.format_exception(refused.value))
    assert secret not in f"{refused.value.hint} {PostgresUrl(url)!r} {Settings(journal=url)!r}"


@pytest.mark.parametrize("words", [["runs"], ["doctor", "--json"]])
def test_no_command_shows_a_credential(words: list[str]) -> None:
    secret = f"s3cr{uuid4().hex[:8]}"
    url = CREDENTIALS.replace("{secret}", secret)
    said = subprocess.run(
        [sys.executable, "-m", "alma", *words],
        env={**os.environ, "ALMA_JOURNAL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    shown = said.stdout + said.stderr
    assert secret not in shown
    assert "Traceback" not in shown
    assert said.returncode in (1, JournalError.exit_code)
    assert "postgresql://127.0.0.1:1/db" in shown


def test_where_it_leads_may_be_seen() -> None:
    shown = {
        "postgres://u:p@h:1/db?sslmode=require&password=x": "postgres://h:1/db?sslmode=require",
        "postgresql://h1:1,h2:2/db": "postgresql://h1:1,h2:2/db",
        "postgresql:///db?host=/run/x": "postgresql:///db?host=%2Frun%2Fx",
    }
    assert {url: str(address_of(url)) for url in shown} == shown
    with pytest.raises(JournalError, match="given as a path"):
        address_of(Path("postgresql://h/db"))


def test_a_wrong_password_is_one_sentence(postgres: Postgres, database: str) -> None:
    with pytest.raises(JournalError, match="password authentication failed") as refused:
        open_journal(database.replace(":pw@", ":canary@"), write=False)
    assert "canary" not in f"{refused.value} {refused.value.hint}"
    assert "PGPASSWORD" in refused.value.hint
    with pytest.raises(JournalError, match="does not exist"):
        open_journal(postgres.url_of("nowhere"), write=False)


def test_a_password_from_the_environment_is_libpqs_own(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare = database.replace("pulumi:pw@", "pulumi@")
    with pytest.raises(JournalError, match="no password supplied"):
        open_journal(bare, write=False)
    monkeypatch.setenv("PGPASSWORD", "pw")
    open_journal(bare, write=False).close()
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pass").write_text("*:*:*:pulumi:pw\n")
    (tmp_path / "pass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    open_journal(bare, write=False).close()


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
