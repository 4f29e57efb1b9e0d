"""What is given to the AWS provider, and which of it stands when the user says otherwise."""

from __future__ import annotations

import ast
import importlib.util
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from alma import DefinitionError, LocalStack, Saga, SagaState
from alma.core.definition import Definition
from alma.errors import UnreachableError
from alma.pulumi.engine import StackRef
from alma.pulumi.project import write_settings
from alma.reports.report import warnings
from alma.runner import destroy, resume, rollback, up
from alma.runner.doctor import examine
from alma.runner.preview import preview
from alma.steps.stack.localstack import SERVICES, localstack_problem, provider_config
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


# -- where ------------------------------------------------------------------------------------


def test_url_is_the_given_one_then_the_environments_then_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert LocalStack().url == "http://localhost:4566"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ls.example:4567/")
    assert LocalStack().url == "https://ls.example:4567"
    assert LocalStack("http://other:1").url == "http://other:1"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:4566",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://x/y",
        "http://x?a=b",
        "saga.py",
    ],
)
def test_what_is_no_url_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(DefinitionError, match="is no URL of a LocalStack") as refused:
        LocalStack(url)
    assert "http://localhost:4566" in refused.value.hint


@pytest.mark.parametrize("url", ["http://me:hunter22@host:4566", "me:hunter22@host/x"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        LocalStack(url)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("region", ["", "us east", "../x", 7])
def test_what_cannot_be_a_region_is_refused(region: Any) -> None:
    with pytest.raises(DefinitionError, match="cannot be an AWS region"):
        LocalStack(region=region)


def test_a_saga_takes_a_localstack_and_nothing_else() -> None:
    with pytest.raises(DefinitionError, match="aws must be a LocalStack"):
        Saga("shop", aws="http://localhost:4566")  # type: ignore[arg-type]


# -- what -------------------------------------------------------------------------------------


def test_config_is_what_the_provider_needs() -> None:
    config = dict(provider_config(LocalStack("http://localhost:4566", region="eu-central-1")))
    (endpoints,) = config.pop("aws:endpoints")
    assert config == {
        "aws:region": "eu-central-1",
        "aws:accessKey": "test",
        "aws:secretKey": "test",
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
        "aws:s3UsePathStyle": True,
    }
    assert endpoints.pop("s3control") == "http://localhost.localstack.cloud:4566"
    assert set(endpoints.values()) == {"http://localhost:4566"}
    assert {"s3", "sqs", "sns", "iam", "sts", "ssm", "ec2", "secretsmanager"} <= set(endpoints)


def test_every_endpoint_is_one_that_the_provider_knows_and_no_service_is_there_twice() -> None:
    """By the SDK that is installed, read and not imported: it has hundreds of megabytes."""
    spec = importlib.util.find_spec("pulumi_aws")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).with_name("_inputs.py").read_text())
    known = next(
        {argument.arg for argument in function.args.kwonlyargs}
        for kind in tree.body
        if isinstance(kind, ast.ClassDef) and kind.name == "ProviderEndpointArgs"
        for function in kind.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
    )
    # `lambda` is a word of Python, so the SDK names its argument otherwise.
    assert {name for name in SERVICES if name != "lambda"} <= known
    assert len(SERVICES) == len(set(SERVICES))
    others = {"es", "stepfunctions", "cloudwatchlogs", "cloudwatchevents", "s3api", "eventbridge"}
    assert others <= known
    assert not others & set(SERVICES)


# -- what of it stands --------------------------------------------------------------------------


def test_defaults_give_way_to_config_to_settings_and_to_the_project(tmp_path: Path) -> None:
    project, own = tmp_path / "project", tmp_path / "own"
    project.mkdir()
    own.mkdir()
    (project / "Pulumi.yaml").write_text(
        "name: queue\nruntime: yaml\nconfig:\n  aws:region: eu-west-1\n  size: {default: 1}\n"
    )
    (project / "Pulumi.dev.yaml").write_text(
        "encryptionsalt: v1:x\nconfig:\n  aws:accessKey: mine\n  aws:secretKey:\n    secure: v1:y\n"
    )
    ref = StackRef(project="queue", stack="dev", work_dir=str(project))
    defaults = provider_config(LocalStack("http://host:4566"))
    plain = {"aws:s3UsePathStyle": False, "aws:endpoints": [{"s3": "http://mine"}]}
    path = write_settings(own, ref, plain, fresh=False, defaults=defaults)
    assert yaml.safe_load(path.read_text())["config"] == {
        "aws:accessKey": "mine",
        "aws:secretKey": {"secure": "v1:y"},
        "aws:s3UsePathStyle": False,
        "aws:endpoints": [{"s3": "http://mine"}],
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
    }


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


# -- the journal --------------------------------------------------------------------------------


def test_definition_keeps_where_it_goes_and_reads_the_older_form() -> None:
    saga = Saga("shop", aws=LocalStack("http://host:4566", region="eu-central-1"))
    saga.add_stack("bucket", program)
    data = json.loads(json.dumps(saga.definition().to_json()))
    assert data["aws"] == {"url": "http://host:4566", "region": "eu-central-1"}
    assert Definition.from_json(data) == saga.definition()
    del data["aws"]
    assert Definition.from_json(data).aws is None


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
