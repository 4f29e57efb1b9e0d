"""The disk of the journal's server fills up, for real: a small file system under its data."""

from __future__ import annotations

import json
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from alma import Saga, SagaFailed, SagaInterrupted
from alma.core import events as ev
from alma.journal import Journal, open_journal
from alma.journal.address import PostgresUrl
from alma.journal.encryption import KEY, new_key
from alma.journal.journal import utc_now
from alma.journal.postgres.store import PostgresStore
from alma.runner import resume, up
from alma.runner.settings import Settings
from tests.journal.postgres import connected
from tests.services.postgres import Server

MEGABYTES = 256
LARGE = 12_000
"""Characters of a result that goes into no page that is there already."""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, new_key())


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """Only root may mount one; and the server, which is not root, has to reach it."""
    path = Path(tempfile.mkdtemp(prefix="postgres-"))
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=755", "tmpfs", str(path)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        path.rmdir()
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)
    path.rmdir()


@pytest.fixture(scope="module")
def server(disk: Path) -> Iterator[Server]:
    """Made once: each test has a database of its own, and ends with a server that runs."""
    server = Server(disk)
    server.start()
    yield server
    server.stop()


def full(disk: Path) -> None:
    """No table and no index can grow any more."""
    with (disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"0" * 4096):
            pass


def full_to_the_log(disk: Path, url: str) -> None:
    """The server has no log to commit to: it ends itself, and does not come up again."""
    full(disk)
    with pytest.raises(psycopg.Error):  # noqa: PT012
        for _ in range(100):  # until those segments are used up that it has made beforehand
            with connected(url) as connection:
                connection.execute("SELECT pg_switch_wal(), txid_current()")
                connection.execute("CHECKPOINT")


@pytest.mark.parametrize(
    ("when", "log", "words"),
    [
        ("one", False, "is on a disk that is full"),
        ("two", True, "the journal postgres://"),
        ("undo two", True, "the journal postgres://"),
    ],
)
async def test_a_disk_that_fills_up_interrupts_and_resume_goes_on(
    server: Server,
    disk: Path,
    capsys: pytest.CaptureFixture[str],
    when: str,
    log: bool,
    words: str,
) -> None:
    """Nothing that was not committed is believed, and nothing is lost: it is on stderr."""
    undone, done = when.startswith("undo"), list[str]()
    url = server.address.url_of(f"full_{uuid4().hex[:8]}")
    server.address.execute(f"CREATE DATABASE {urlsplit(url).path[1:]}")

    def step(name: str) -> dict[str, str]:
        done.append(name)
        if name == when and done.count(name) == 1:
            full_to_the_log(disk, url) if log else full(disk)
        return {"large": secrets.token_hex(LARGE // 2)}

    def last() -> None:
        done.append("three")
        if undone:
            raise RuntimeError("refused")

    saga = Saga("shop", stack="dev")
    for name in ("one", "two"):
        saga.add_step(partial(step, name), partial(step, f"undo {name}"), name=name)
    saga.add_step(last, compensation="none", name="three")
    settings = Settings(journal=url, open_journal=impatient, handle_signals=False)

    with pytest.raises(SagaInterrupted, match=words) as stopped:
        await up(saga, settings=settings)
    assert stopped.value.exit_code == 8
    before, at = list(done), done.index(when)
    assert before[at:] == [when], "nothing begins that cannot be noted"
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    assert ("OperationSucceeded", when.removeprefix("undo ")) in {
        (one["type"], one["step"]) for one in told
    }

    (disk / "ballast").unlink()
    if log:
        server.stop()
        server.start()
    kind = "compensation" if undone else "action"
    assert outcomes(url, when.removeprefix("undo "), kind) == ["OperationIntended"]
    if undone:
        with pytest.raises(SagaFailed) as failed:
            await resume(saga=saga, settings=settings)
        assert failed.value.result.state.name == "COMPENSATED"
        assert done == [*before, "undo two", "undo one"]
    else:
        assert (await resume(saga=saga, settings=settings)).state.name == "COMPLETED"
        assert done == [*before, *["one", "two", "three"][at:]]
    assert outcomes(url, "one", kind)[-1] == "OperationSucceeded"


def impatient(where: object, /, *, write: bool) -> Journal:
    """A server that is gone for a second stays away here."""
    assert isinstance(where, PostgresUrl)
    return Journal(PostgresStore(where, write=write, lost=1.0), utc_now)


def outcomes(url: str, step: str, kind: str) -> list[str]:
    """What the journal has of a step's operations, in a chain that is whole."""
    with open_journal(url, write=False) as reader:
        assert reader.verify().ok
        (row,) = reader.runs()
        events = [entry.event for entry in reader.events(row.run)]
    return [
        event.type
        for event in events
        if isinstance(event, ev.OperationIntended | ev.OperationSucceeded)
        and (event.step, event.kind) == (step, kind)
    ]
