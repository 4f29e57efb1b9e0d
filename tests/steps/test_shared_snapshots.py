"""Snapshots in a journal on Postgres: another host puts back what this one has changed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from alma.cli.program import program as cli
from alma.core.run import SagaState
from alma.errors import JournalError
from alma.journal import open_journal
from alma.pulumi.snapshot_files import snapshots_of
from alma.pulumi.snapshots import SnapshotError
from alma.runner import rollback, up
from alma.runner.restore_points import prune
from alma.runner.settings import Settings
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import ended
from tests.steps.test_restoring import existing, names, two

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def shared(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A journal that is reached from hosts which have nothing else in common."""
    monkeypatch.setenv("ALMA_JOURNAL_KEY", KEY)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "first"))
    return database


def on(engine: FakeEngine, journal: str, **more: object) -> Settings:
    return Settings(engine=engine, journal=journal, grace=0.2, **more)  # type: ignore[arg-type]


def _files(directory: Path) -> list[Path]:
    return [*directory.rglob("*.json.gz")]


async def test_another_host_puts_back_what_a_run_has_changed(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = existing(Fault(project="s-b", operation="inspect", effect="crash"))
    with pytest.raises(Crash):
        await up(two(), settings=on(engine, shared))
    assert names(engine) != {"old", "one"}
    assert _files(tmp_path) == []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "second"))
    result = await ended(rollback(saga=two(), settings=on(engine, shared)))
    assert result.state is SagaState.COMPENSATED
    assert names(engine) == {"old", "one"}
    assert ("restore", "s-a") in engine.calls


async def test_they_are_pruned_as_files_are(shared: str) -> None:
    assert (await ended(up(two(), settings=on(existing(), shared)))).state is SagaState.COMPENSATED
    with open_journal(shared, write=True) as journal:
        kept = snapshots_of(journal.path, journal.snapshots)
        (digest,) = kept.place.digests()
        assert prune(journal, keep=0) == ()  # it was written just now
        with psycopg.connect(shared, autocommit=True) as connection:
            connection.execute("UPDATE snapshots SET needed_at = now() - interval '1 hour'")
        assert kept.place.digests(older=600.0) == {digest}
        assert prune(journal) == ()
        pruned = CliRunner().invoke(cli, ["prune", "--keep", "0", "--json", "--journal", shared])
        (removed,) = json.loads(pruned.stdout)["removed"]
        assert removed.startswith(f"{digest} in postgres")
        assert ":pw@" not in pruned.output
        with pytest.raises(SnapshotError, match="is gone"):
            kept.load(digest, "s-a", "dev")


async def test_what_is_kept_is_not_changed_any_more(shared: str) -> None:
    await ended(up(two(), settings=on(existing(), shared)))
    for change in ("SET content = ''", "SET digest = 'x'"):
        statement = f"UPDATE snapshots {change}".encode()
        with (
            psycopg.connect(shared, autocommit=True) as connection,
            pytest.raises(psycopg.Error, match="only ever added"),
        ):
            connection.execute(statement)
    with open_journal(shared, write=True) as journal:
        assert journal.snapshots is not None
        (digest,) = journal.snapshots.digests()
        before = journal.snapshots.get(digest)
        journal.snapshots.put(digest, b"another")
        assert journal.snapshots.get(digest) == before
        assert journal.snapshots.get("0" * 64) is None
        assert journal.verify().ok


async def test_a_step_is_not_begun_where_its_snapshot_cannot_be_kept(shared: str) -> None:
    engine = existing()
    with open_journal(shared, write=True), psycopg.connect(shared, autocommit=True) as connection:
        connection.execute("DROP TABLE snapshots")
    with suppress(JournalError):
        await ended(up(two(), settings=on(engine, shared)))
    assert ("up", "s-a") not in engine.calls
    assert names(engine) == {"old", "one"}
