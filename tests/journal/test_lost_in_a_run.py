"""A run whose connection to its journal is lost goes on over another one, or stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from alma import Saga, SagaInterrupted
from alma.core.result import Result
from alma.journal import Journal, open_journal
from alma.journal.address import PostgresUrl
from alma.journal.journal import utc_now
from alma.journal.postgres.connection import LOST_SECONDS
from alma.journal.postgres.store import PostgresStore
from alma.runner import up
from alma.runner.settings import Settings
from tests.journal.proxied import through
from tests.services.wire import Wire

pytestmark = pytest.mark.usefixtures("key")


def run(url: str, between: Callable[[], None], lost: float) -> Coroutine[Any, Any, Result]:
    saga = Saga("shop", stack="dev")
    saga.add_step(action=between, name="one", compensation="none")
    saga.add_step(action=lambda: None, name="two", compensation="none")

    def opener(where: object, /, *, write: bool) -> Journal:
        store = PostgresStore(PostgresUrl(str(where and url)), write=write, lost=lost)
        return Journal(store, utc_now)

    settings = Settings(journal=url, open_journal=opener, handle_signals=False)
    return up(saga, settings=settings)


async def test_a_run_goes_on_over_a_connection_that_is_had_back(database: str, proxy: Wire) -> None:
    result = await run(through(proxy, database), proxy.sever, LOST_SECONDS)
    assert result.state.name == "COMPLETED"
    with open_journal(database, write=False) as reader:
        assert reader.verify().ok
        assert not reader.is_held("shop/dev")


async def test_a_run_whose_journal_stays_away_stops_and_leaves_its_record_on_stderr(
    database: str, proxy: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is under way ends; its outcome is told where it can be; no other step begins."""
    with pytest.raises(SagaInterrupted, match="was stopped") as stopped:
        await run(through(proxy, database), proxy.down, 0.3)
    assert stopped.value.exit_code == 8
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    assert any("OperationSucceeded" in json.dumps(one) for one in told)
    proxy.up()
    with open_journal(database, write=False) as reader:
        assert reader.verify().ok
        (row,) = reader.runs()
        events = [entry.event.type for entry in reader.events(row.run)]
    assert "OperationIntended" in events
    assert "OperationSucceeded" not in events
