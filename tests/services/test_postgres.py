from __future__ import annotations

import psycopg
import pytest

from tests.services.postgres import Postgres, Server


def test_a_database_is_a_tests_own_and_asks_for_the_password(
    postgres: Postgres, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (number integer)")
    with postgres.database() as other, psycopg.connect(other) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'"
        assert connection.execute(tables).fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database.replace(":pw@", ":no@"))
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(other)


def test_a_server_that_goes_down_has_what_was_committed(own_postgres: Server) -> None:
    url = own_postgres.address.url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        own_postgres.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
