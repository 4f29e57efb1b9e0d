"""A journal on Postgres shows no credential, and finds its password as libpq does."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from uuid import uuid4

import pytest

from alma.errors import JournalError
from alma.journal import open_journal
from alma.journal.address import PostgresUrl, address_of
from alma.runner.settings import Settings
from tests.services.postgres import Postgres

pytestmark = pytest.mark.usefixtures("key")

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
