"""Whether a backend can be written to, found out before a run; and what its errors show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from alma.errors import UnwritableError
from alma.pulumi.engine import StackRef
from alma.pulumi.local import PulumiEngine
from tests.pulumi import programs
from tests.pulumi.conftest import Place
from tests.services.localstack import LocalStack
from tests.services.postgres import Postgres
from tests.services.proxy import Proxy
from tests.services.states import BucketStates, TableStates

REF = StackRef(project="demo", stack="dev")
PASSWORD = "of-the-role"


@pytest.fixture
def role(postgres: Postgres) -> Iterator[tuple[str, str]]:
    """A role that owns a database of its own; its name, and the database's URL for it."""
    name = f"role_{uuid4().hex[:12]}"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    postgres.execute(f"CREATE DATABASE {name} OWNER {name}")
    address = f"{postgres.host}:{postgres.port}/{name}?sslmode=disable"
    yield name, f"postgres://{name}:{PASSWORD}@{address}"
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    postgres.execute(f"DROP ROLE {name}")


async def test_a_database_that_takes_no_writes_is_refused(
    place: Place, role: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started, where the stack is there and where it is not; no password."""
    name, url = role
    states = TableStates(url, url)
    table = states.table("one")
    monkeypatch.setenv("PULUMI_BACKEND_URL", states.url("one"))
    await place.engine.close()
    place.engine = engine = PulumiEngine(idle=True)

    def execute(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    await engine.check([REF], write=True)
    assert set(states.kept("one")) == {"meta.yaml"}, "what was tried is gone"

    execute(f"REVOKE INSERT ON {table} FROM {name}")
    with pytest.raises(UnwritableError, match=r"be read, but not be written.*denied") as refused:
        await engine.check([REF], write=True)
    assert refused.value.exit_code == 2
    assert PASSWORD not in str(refused.value)
    await engine.check([REF])

    execute(f"GRANT INSERT ON {table} TO {name}")
    assert (await place.up(programs.nothing)).failure is None
    await engine.check([REF], write=True)
    assert not [path for path in states.kept("one") if "lock" in path]
    execute(f"REVOKE INSERT ON {table} FROM {name}")
    with pytest.raises(UnwritableError, match=r"be read, but not be written.*denied"):
        await engine.check([REF], write=True)

    # What the CLI prints of a database that it cannot open is all of its URL.
    execute(f"DROP TABLE {table}")
    execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner")
    failed = await place.up(programs.nothing, create=False)
    assert failed.failure is not None
    assert "unable to open state database" in failed.failure.message
    logs = [path.read_text() for path in place.root.rglob("*.log")]
    assert any("unable to open state database" in log for log in logs)
    assert not any(PASSWORD in text for text in (*logs, str(failed.failure)))
    await engine.close()


async def test_a_bucket_that_takes_no_writes_is_refused(
    directory: Path,  # noqa: ARG001
    localstack: LocalStack,
    chaos: Callable[[str], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by a policy that lets its user read."""
    proxy = chaos(localstack.url)
    states = BucketStates(localstack, f"state-{uuid4().hex[:12]}", proxy.url)
    states.client().create_bucket(Bucket=states.bucket)
    for key, value in states.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("PULUMI_BACKEND_URL", states.url("one"))
    engine = PulumiEngine(idle=True)
    await engine.check([REF], write=True)
    assert set(states.kept("one")) == {"meta.yaml"}
    proxy.fail(403, times=100, match=lambda asked: asked.method == "PUT", code="AccessDenied")
    with pytest.raises(UnwritableError, match="be read, but not be written"):
        await engine.check([REF], write=True)
    await engine.check([REF])
