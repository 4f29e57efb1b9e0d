"""The services as pytest fixtures: started at first use, shared by all workers of pytest-xdist."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from tests.services import obtain
from tests.services.docker import DockerDaemon
from tests.services.localstack import LocalStack
from tests.services.process import ServiceError

RUN = pytest.StashKey[obtain.Run]()
# As it was before any test: a test's own home directory has no cache, its PATH other programs.
ENVIRONMENT = pytest.StashKey[Mapping[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
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
