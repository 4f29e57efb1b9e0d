"""Runs whose AWS steps go to LocalStack: where they go on, and only when it is there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, LocalStack, Saga, SagaState
from alma.errors import UnreachableError
from alma.reports.report import warnings
from alma.runner import destroy, resume, rollback, up
from alma.runner.doctor import examine
from alma.runner.preview import preview
from alma.steps.stack.localstack import localstack_problem, provider_config
from alma.testing import FakeEngine, Fault
from tests.runner.helpers import ended, history, program, settings

HEALTHY = b'{"services": {"s3": "available"}, "edition": "community", "version": "4.9.2"}'


class Answering:
    """Servers that give one answer to everything, each at an address of its own."""

    def __init__(self) -> None:
        self.servers: list[ThreadingHTTPServer] = []
        self.session = b'{"session_id": "first"}'

    def __call__(self, body: bytes = HEALTHY, status: int = 200) -> str:
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                info = self.path == "/_localstack/info"
                assert info or self.path == "/_localstack/health"
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answering.session if info else body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    def stop(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers.clear()


@pytest.fixture
def serve() -> Iterator[Answering]:
    """Start a server that answers as a LocalStack does, or otherwise."""
    answering = Answering()
    yield answering
    answering.stop()


@pytest.fixture
def nowhere() -> str:
    """A URL at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


# -- where they go on --------------------------------------------------------------------------


async def test_steps_keep_their_own_config_apart_from_what_the_target_adds(
    serve: Answering, tmp_path: Path
) -> None:
    asked: list[Any] = []

    class Engine(FakeEngine):
        async def up(self, request: Any, operation: Any) -> Any:
            asked.append(request)
            return await super().up(request, operation)

    url = serve()
    saga = Saga("shop", aws=LocalStack(url))
    saga.add_stack("bucket", program, config={"aws:region": "eu-central-1", "size": 1})
    await up(saga, settings=settings(Engine(), tmp_path / "journal.db"))
    (request,) = asked
    assert request.config == {"aws:region": "eu-central-1", "size": 1}
    assert request.defaults == provider_config(LocalStack(url))


async def test_a_run_goes_on_where_it_began_whatever_the_saga_says(
    serve: Answering, tmp_path: Path
) -> None:
    first, second = LocalStack(serve()), LocalStack(serve())
    journal = tmp_path / "journal.db"

    def saga(aws: LocalStack | None = None) -> Saga:
        made = Saga("shop", on_failure="stop", aws=aws)
        made.add_stack("bucket", program)
        return made

    engine = FakeEngine(faults=[Fault(project="shop-bucket", operation="up", effect="fail")])
    result = await ended(up(saga(), settings=settings(engine, journal, aws=first)))
    assert result.status.definition.aws == first
    with pytest.raises(DefinitionError, match=r"AWS steps go to LocalStack at .*, and went to"):
        await resume(saga=saga(), settings=settings(engine, journal, aws=second))
    result = await resume(saga=saga(second), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert result.status.definition.aws == first
    with pytest.raises(DefinitionError, match="taken down and put back where they are"):
        await destroy(saga(second), settings=settings(engine, journal))
    result = await destroy(saga(), settings=settings(engine, journal))
    assert result.status.definition.aws == first


async def test_another_place_can_be_accepted(serve: Answering, tmp_path: Path) -> None:
    first, second = LocalStack(serve()), LocalStack(serve())
    saga = Saga("shop", on_failure="stop", aws=first)
    saga.add_stack("bucket", program)
    engine = FakeEngine(faults=[Fault(project="shop-bucket", operation="up", effect="fail")])
    given = settings(engine, tmp_path / "journal.db", aws=second)
    await ended(up(saga, settings=settings(engine, tmp_path / "journal.db")))
    result = await resume(saga=saga, settings=given, accept_changes=True)
    assert result.status.definition.aws == second


# -- whether it is there --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (HEALTHY, 200, ""),
        (HEALTHY, 503, "does not answer as a LocalStack does (status 503"),
        (b"<html>", 200, "does not answer as a LocalStack does"),
        (b"7", 200, "does not answer as a LocalStack does"),
    ],
)
def test_health_is_what_localstack_answers(
    serve: Answering, body: bytes, status: int, words: str
) -> None:
    found = localstack_problem(LocalStack(serve(body, status)))
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_who_speaks_something_else_is_told(nowhere: str, serve: Answering) -> None:
    assert "refused" in localstack_problem(LocalStack(nowhere))
    assert "cannot be reached" in localstack_problem(LocalStack(serve().replace("http:", "https:")))


async def test_nothing_is_begun_when_it_is_not_there(nowhere: str, tmp_path: Path) -> None:
    journal, engine = tmp_path / "journal.db", FakeEngine()
    saga = Saga("shop", aws=LocalStack(nowhere))
    saga.add_stack("bucket", program)
    given = settings(engine, journal)
    with pytest.raises(UnreachableError, match=f"LocalStack at {nowhere}, .* cannot be reached"):
        await up(saga, settings=given)
    with pytest.raises(UnreachableError):
        await preview(saga, given)
    with pytest.raises(UnreachableError):
        await destroy(saga, settings=given)
    assert not journal.exists()
    assert not engine.calls


async def test_nor_is_a_run_gone_on_with(serve: Answering, tmp_path: Path) -> None:
    """A run that was left half way, at a LocalStack that is gone by now."""
    journal = tmp_path / "journal.db"
    engine = FakeEngine(faults=[Fault(project="shop-bucket", operation="up", effect="fail")])
    given = settings(engine, journal)
    saga = Saga("shop", on_failure="stop", aws=LocalStack(serve()))
    saga.add_stack("bucket", program)
    await ended(up(saga, settings=given))
    before, asked = history(journal), list(engine.calls)
    serve.stop()
    for go_on in (resume(saga=saga, settings=given), rollback(settings=given)):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            await go_on
    assert history(journal) == before
    assert engine.calls == asked
    (said,) = [check for check in await examine(journal) if check.name == "localstack"]
    assert said.level == "warn"
    assert "where AWS steps of shop/dev went, cannot be reached" in said.message


async def test_a_saga_without_stacks_asks_for_no_localstack(nowhere: str, tmp_path: Path) -> None:
    saga = Saga("shop", aws=LocalStack(nowhere))
    saga.add_step("nothing", action=dict, compensation="none")
    result = await up(saga, settings=settings(FakeEngine(), tmp_path / "journal.db"))
    assert result.state is SagaState.COMPLETED


async def test_one_that_was_started_anew_is_told(serve: Answering, tmp_path: Path) -> None:
    """Its stacks' state still shows what it forgot; a run that is gone on with says so too."""
    journal = tmp_path / "journal.db"
    failing = [Fault(project="shop-bucket", operation="up", nth=nth) for nth in (1, 2)]
    engine = FakeEngine(faults=failing)
    given = settings(engine, journal)
    saga = Saga("shop", on_failure="stop", aws=LocalStack(serve()))
    saga.add_stack("bucket", program)
    result = await ended(up(saga, settings=given))
    assert result.status.notes == ()
    result = await ended(resume(saga=saga, settings=given))
    assert result.status.notes == ()
    serve.session = b'{"session_id": "second"}'
    for go_on in (rollback(settings=given), destroy(saga, settings=given)):
        result = await ended(go_on)
        assert "was started anew since run" in result.status.notes[0]
        assert warnings(result.status)[0].startswith("warning: LocalStack at http://127.0.0.1")
    serve.session = b"["
    assert (await ended(destroy(saga, settings=given))).status.notes == ()
