"""A journal on Postgres is the same whatever is set for its database or role."""

from __future__ import annotations

import pytest

from alma.journal import open_journal
from alma.journal.encryption import KEY, new_key
from tests.journal.postgres import connected
from tests.journal.tools import created, intended, succeeded

DEFAULTS = {
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "datestyle": "German",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "extra_float_digits": "-15",
    "idle_in_transaction_session_timeout": "1ms",
    "intervalstyle": "sql_standard",
    "lock_timeout": "1ms",
    "plpgsql.extra_errors": "all",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "synchronous_commit": "off",
    "timezone": "America/St_Johns",
    "transform_null_equals": "on",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_of_the_database_changes_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(KEY, new_key())
    this = database.partition("?")[0].rpartition("/")[2]
    with connected(database) as owner:
        owner.execute(f"ALTER DATABASE {this} SET {name} = '{DEFAULTS[name]}'".encode())
    with (
        open_journal(database, write=True) as journal,
        journal.acquire("shop/dev", "r1", actor="Zoë 🦊") as lease,
    ):
        journal.create_run("r1", created(), lease)
        for number in range(1, 4):
            journal.append("r1", intended(number), lease)
            journal.append("r1", succeeded(number), lease)
    with open_journal(database, write=False) as journal:
        assert journal.verify().ok
        assert len(journal.events("r1")) == 7
        holder = journal.holder("shop/dev")
        assert holder is not None
        assert holder.actor == "Zoë 🦊"
