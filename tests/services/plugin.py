"""The services as pytest fixtures: started at first use, shared by all workers of pytest-xdist."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.services import obtain
from tests.services.docker import DockerDaemon
from tests.services.kubernetes import KubernetesApi
from tests.services.localstack import LocalStack
from tests.services.postgres import Postgres, Server
from tests.services.process import ServiceError
from tests.services.proxy import Proxy
from tests.services.temporal import Server as TemporalServer
from tests.services.temporal import Temporal
from tests.toolchain.chromium import program as browser_on

SERVICES = (
    "localstack",
    "docker_daemon",
    "kubernetes_api",
    "kubernetes_plugin",
    "temporal",
    "own_temporal",
    "tofu",
    "chromium",
)
"""The fixtures for which a part is fetched: `nox -s services` runs the tests that ask for one."""

WHOLE = tuple(Path(__file__).parents[1] / "integration" / name for name in ("aws", "kubernetes"))
"""Where all is theirs. The clients and SDKs there take longer to import than all other tests."""

RUN = pytest.StashKey[obtain.Run]()
# As it was before any test: a test's own home directory has no cache, its PATH other programs.
ENVIRONMENT = pytest.StashKey[Mapping[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "services: asks for a real service")
    given = getattr(config, "workerinput", {}).get("services")
    config.stash[RUN] = obtain.Run(*given) if given else obtain.Run.of_this_process()
    config.stash[ENVIRONMENT] = dict(os.environ)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    run = node.config.stash[RUN]
    node.workerinput["services"] = (run.directory, run.holder)


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run is not None and run.holder == os.getpid():
        obtain.end(run)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing of what `-m` leaves out anyway."""
    unwanted = "not services" in config.option.markexpr and collection_path in WHOLE
    return unwanted or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a service, before `-m` chooses by the marks."""
    for item in items:
        asks = not set(SERVICES).isdisjoint(getattr(item, "fixturenames", ()))
        if asks or not set(WHOLE).isdisjoint(item.path.parents):
            item.add_marker(pytest.mark.services)


def service(config: pytest.Config, name: str) -> dict[str, str]:
    try:
        return obtain.service(config.stash[RUN], name, config.stash[ENVIRONMENT])
    except ServiceError as error:
        failure = str(error)
    # Outside, so that the text stands there once and not as its own cause too.
    pytest.fail(failure, pytrace=False)


@pytest.fixture(scope="session")
def localstack(pytestconfig: pytest.Config) -> LocalStack:
    """AWS on this machine."""
    return LocalStack(**service(pytestconfig, "localstack"))


@pytest.fixture(scope="session")
def docker_daemon(pytestconfig: pytest.Config) -> DockerDaemon:
    """A Docker daemon with one image and nothing else in it."""
    return DockerDaemon(**service(pytestconfig, "docker"))


@pytest.fixture(scope="session")
def kubernetes_api(pytestconfig: pytest.Config) -> KubernetesApi:
    """A Kubernetes cluster with one node."""
    return KubernetesApi(**service(pytestconfig, "kubernetes"))


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Postgres:
    """A Postgres server, one for the run of the tests: `nox -s tests` has its part too.

    Most tests want `database` in its place. `postgres.database()` gives a context in which
    there is one more, `postgres.execute(...)` runs a statement as a superuser, for roles and
    rights.
    """
    return Postgres(**service(pytestconfig, "postgres"))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database, this test's own: of a journal, or of Pulumi's state.

    As libpq takes it, with user and password: `psycopg.connect(database)`,
    `monkeypatch.setenv("ALMA_JOURNAL", database)`, `Saga(..., backend=database)`. It is dropped
    after the test, whoever is still connected.
    """
    with postgres.database() as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server for this test alone, running: `stop()` and `start()` it; `address.url` stays.

    It takes two seconds to make: only where the server itself has to end.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as directory:
        server = Server(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def temporal(pytestconfig: pytest.Config) -> Temporal:
    """A Temporal server, one for the run of the tests: each test has task queues of its own."""
    return Temporal(**service(pytestconfig, "temporal"))


@pytest.fixture
def own_temporal() -> Iterator[TemporalServer]:
    """A server for this test alone, running: only where the server itself has to end."""
    with tempfile.TemporaryDirectory(prefix="temporal-", ignore_cleanup_errors=True) as directory:
        # A workflow is asked to go on as a new one long before it has many events.
        server = TemporalServer(Path(directory), "limit.historyCount.suggestContinueAsNew=20")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def chaos() -> Iterator[Callable[..., Proxy]]:
    """Put a proxy in front of a service: `proxy = chaos(localstack.url)`, see `Proxy`."""
    with ExitStack() as stack:

        def chaos(url: str, certificate: Path | None = None) -> Proxy:
            proxy = Proxy(url, certificate)
            stack.callback(proxy.close)
            return proxy

        yield chaos


@pytest.fixture(scope="session")
def tofu(pytestconfig: pytest.Config) -> Path:
    """A CLI that speaks Terraform's language."""
    path = path_with(pytestconfig, "tofu")
    program = shutil.which("tofu", path=path) or shutil.which("terraform", path=path)
    assert program is not None
    return Path(program)


@pytest.fixture(scope="session")
def chromium(pytestconfig: pytest.Config) -> Path:
    """A browser's program; tests/web has fixtures over it."""
    program = browser_on(path_with(pytestconfig, "chromium"))
    assert program is not None
    return program


def path_with(config: pytest.Config, part: str) -> str:
    """PATH as it was before any test, with a part of tests/toolchain; a failure without one."""
    environment = config.stash[ENVIRONMENT]
    command = [sys.executable, "-m", "tests.toolchain", part]
    found = subprocess.run(
        command, cwd=obtain.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.fail(found.stderr, pytrace=False)
    return os.pathsep.join(filter(None, [found.stdout.strip(), environment["PATH"]]))
