"""A journal on Postgres whose server is started again, is another one or is behind a pooler."""

from __future__ import annotations

import struct
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alma.errors import JournalError
from alma.journal import open_journal
from tests.journal.postgres import connected
from tests.journal.proxied import a_run, opened, through, types
from tests.journal.tools import intended
from tests.services.postgres import Server
from tests.services.wire import Wire

pytestmark = pytest.mark.usefixtures("key")


def test_a_server_that_is_started_again_is_found_again(own_postgres: Server) -> None:
    """It has forgotten all sessions, and their locks."""
    url = own_postgres.address.url
    with a_run(url) as (journal, lease):
        own_postgres.stop()
        own_postgres.start()
        journal.append("r1", intended(), lease)
        assert journal.is_held("shop/dev")
    assert types(url) == ["RunCreated", "OperationIntended"]


def test_another_server_at_the_same_place_is_another_journal(
    own_postgres: Server, database: str, proxy: Wire
) -> None:
    """A restored or foreign server: nothing is written there."""
    with opened(own_postgres.address.url, lost=0.5) as other:
        assert other.path != opened_path(database)
    with a_run(through(proxy, database), lost=2) as (journal, lease):
        proxy.sever()
        proxy.there = (own_postgres.address.host, int(own_postgres.address.port))
        with connected(own_postgres.address.url) as connection:
            name = urlsplit(database).path[1:]
            connection.execute(f"CREATE DATABASE {name}".encode())
        with pytest.raises(JournalError, match="Another server answers"):
            journal.append("r1", intended(), lease)


def opened_path(url: str) -> Path:
    with open_journal(url, write=False) as journal:
        return journal.path


def test_behind_a_pooler_there_is_no_lease(database: str) -> None:
    """Its clients are told a key of its own in place of the session's."""

    def pooled(data: bytes) -> bytes:
        at = data.find(b"K\x00\x00\x00\x0c")
        if at < 0:
            return data
        return data[: at + 5] + struct.pack("!I", 4711) + data[at + 9 :]

    parts = urlsplit(database)
    proxy = Wire(str(parts.hostname), int(parts.port or 0), answer=pooled)
    try:
        for write in (False, True):
            with pytest.raises(JournalError, match="behind a connection pooler"):
                open_journal(through(proxy, database), write=write)
    finally:
        proxy.close()
