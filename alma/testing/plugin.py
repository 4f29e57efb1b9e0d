"""The pytest plugin: sagas that are up for a test, and taken down after it for certain.

pytest finds it by its entry point and loads it at every start, so nothing of alma is imported
here before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from alma.core.definition import LocalStack
    from alma.testing.deployed import Deployed


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--alma-localstack URL`: a name that no test suite has for an option of its own."""
    parser.getgroup("alma").addoption(
        "--alma-localstack",
        metavar="URL",
        help="the LocalStack that AWS steps of sagas go to (fixtures: deployed, alma_localstack)",
    )


@pytest.fixture
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Sagas that are up for this test and down after it; to bring one up, call it with the saga.

    What is left after that fails the test, each leftover by name.
    """
    yield from _deployed(request, tmp_path_factory)


@pytest.fixture(scope="module")
def module_deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """As `deployed`, for all tests of a module."""
    yield from _deployed(request, tmp_path_factory)


@pytest.fixture(scope="session")
def session_deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """As `deployed`, for the whole test run."""
    yield from _deployed(request, tmp_path_factory)


@pytest.fixture(scope="session")
def alma_localstack(request: pytest.FixtureRequest) -> LocalStack:
    """The LocalStack of `--alma-localstack`; without the option its tests are skipped.

    They fail when it does not answer.
    """
    from alma.steps.stack.localstack import localstack_problem

    localstack = _asked(request.config)
    if localstack is None:
        pytest.skip("needs a LocalStack: pytest --alma-localstack http://localhost:4566")
    if why := localstack_problem(localstack):
        pytest.fail(f"LocalStack at {localstack.url} {why}", pytrace=False)
    return localstack


def _deployed(
    request: pytest.FixtureRequest, directories: pytest.TempPathFactory
) -> Iterator[Deployed]:
    from alma.testing.deployed import Deployed

    ours = Deployed(
        directories.mktemp("alma"), modules=_test_files(request), aws=_asked(request.config)
    )
    yield ours
    if left := ours.take_down():
        lines = "\n".join(f"  {line}" for line in left)
        pytest.fail(f"left after the test ({ours.journal}):\n{lines}", pytrace=False)


def _asked(config: pytest.Config) -> LocalStack | None:
    from alma.core.definition import LocalStack
    from alma.errors import DefinitionError

    url = config.getoption("--alma-localstack")
    try:
        return LocalStack(url) if url else None
    except DefinitionError as error:
        raise pytest.UsageError(f"--alma-localstack: {error}") from error


def _test_files(request: pytest.FixtureRequest) -> tuple[ModuleType, ...]:
    """What pytest has loaded by path: a worker may not find it by name, so it travels by value."""
    tests = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    plugins = request.config.pluginmanager.get_plugins()
    conftests = {
        plugin
        for plugin in plugins
        if isinstance(plugin, ModuleType) and Path(plugin.__file__ or "").name == "conftest.py"
    }
    return tuple(tests | conftests)
