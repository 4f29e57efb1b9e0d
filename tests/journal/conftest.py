"""Journals that are sound, to be tampered with, or on Postgres, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg._preparing import Prepare, PrepareManager

from alma.journal import open_journal
from alma.journal.chain import Head
from alma.journal.encryption import KEY, new_key
from tests.journal.postgres import POSTGRES, within
from tests.journal.tools import MEMORY, copy_to, created, fill, intended, open_at
from tests.services.wire import Wire


@pytest.fixture(scope="module", params=[".db", MEMORY, POSTGRES])
def suffix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which store: what is the journal's own behaviour is so over any."""
    if request.param != POSTGRES:
        yield str(request.param)
        return
    server = request.getfixturevalue("postgres")
    with server.database() as url, within(url), pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY, new_key())
        yield POSTGRES


@pytest.fixture
def path(tmp_path: Path, suffix: str) -> Path:
    """Where a journal may be made."""
    return tmp_path / ".alma" / f"journal{suffix}"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, suffix: str) -> Path:
    path = tmp_path_factory.mktemp("sound") / f"journal{suffix}"
    fill(path)
    return path


@pytest.fixture(scope="module")
def head(sound: Path) -> Head:
    with open_at(sound, write=False) as journal:
        return journal.head()


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory, suffix: str) -> Path:
    """Where the copies that are tampered with are put, one over the other."""
    return tmp_path_factory.mktemp("tampered") / f"journal{suffix}"


@pytest.fixture
def copy(sound: Path, spoiled: Path) -> Path:
    copy_to(sound, spoiled)
    return spoiled


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The one of all hosts."""
    made = new_key()
    monkeypatch.setenv(KEY, made)
    return made


@pytest.fixture
def journal(database: str, key: str) -> str:  # noqa: ARG001 - it is written under the key
    """The URL of one on Postgres with a run."""
    with (
        open_journal(database, write=True) as journal,
        journal.acquire("shop/dev", "r1", actor="jane@here") as lease,
    ):
        journal.create_run("r1", created(), lease)
        journal.append("r1", intended(), lease)
    return database


@pytest.fixture
def in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the wire carry each statement as it is, which it does once where it is prepared."""
    monkeypatch.setattr(PrepareManager, "get", lambda *_: (Prepare.NO, b""))


@pytest.fixture
def proxy(database: str) -> Iterator[Wire]:
    parts = urlsplit(database)
    proxy = Wire(str(parts.hostname), int(parts.port or 0))
    yield proxy
    proxy.close()
