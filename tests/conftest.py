from __future__ import annotations

import base64
import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alma.pulumi.cli import find_cli
from alma.system.files import make_directory
from tests import hypotheses
from tests.memory import in_memory
from tests.pulumi_command import install
from tests.vault import vault

# Before a test's module is loaded: its settings start from the profile of that moment.
hypotheses.choose()

pytest_plugins = ["tests.providers.plugin", "tests.services.plugin"]

FOREIGN = (
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_STACK",
    "ALMA_JOURNAL",
    "GITHUB_ACTIONS",  # how lines are printed in a pipe
)
# Of the names that lead to somebody's account, daemon or cluster.
FOREIGN_PREFIXES = ("AWS_", "DOCKER_", "KUBE")
# pytest-xdist sets it for its workers; a test that cares makes a terminal of its own.
FOREIGN_SIZE = ("COLUMNS", "LINES")


def pytest_configure() -> None:
    """Let the tests' processes be interrupted, however the tests were started; write to memory.

    A shell's background jobs have SIGINT ignored, what nohup starts SIGHUP, and children inherit
    it: the CLI and alma rightly leave it at that.
    """
    for caught, default in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(caught) is signal.SIG_IGN:
            signal.signal(caught, default)
    if (memory := in_memory()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def pytest_collection_finish() -> None:
    """Three thousand tests and what they import stay: no collection of garbage looks at them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PULUMI_HOME that is logged in nowhere, with the plugins that are installed already."""
    home = tmp_path_factory.mktemp("pulumi-home")
    plugins = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    if plugins.is_dir():
        (home / "plugins").symlink_to(plugins)
    return home


@pytest.fixture(scope="session")
def pulumi_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """The `pulumi` of all tests, over the CLI on PATH if there is one."""
    found = shutil.which("pulumi")
    if found is None:
        yield None
        return
    with vault() as url:
        yield install(tmp_path_factory.mktemp("bin"), str(Path(found).absolute()), url)


@pytest.fixture(scope="session")
def known_version(
    pulumi_command: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Path | None:
    """What alma keeps of the CLI's version, once it has been used."""
    if pulumi_command is None:
        return None
    cache = tmp_path_factory.mktemp("cache")
    find_cli({**os.environ, "PATH": str(pulumi_command.parent), "XDG_CACHE_HOME": str(cache)})
    return next((cache / "alma").iterdir())


@pytest.fixture(scope="session", autouse=True)
def journal_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The key that journals are known by, one for all tests; fixtures of a wider scope use it too.

    To make it takes a disk's time.
    """
    key = tmp_path_factory.mktemp("state") / "alma" / "journal.key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(key.parents[1]))
        key.parent.mkdir(mode=0o700)
        key.write_text(f"{base64.urlsafe_b64encode(os.urandom(32)).decode()}\n")
        key.chmod(0o600)
        yield key


@pytest.fixture(autouse=True)
def isolated(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    pulumi_home: Path,
    pulumi_command: Path | None,
    known_version: Path | None,
    journal_key: Path,
) -> None:
    """Keep each test off the home directory and off every real backend.

    Fixtures of a wider scope run before this and still see the real caches: what takes long to
    make belongs there.
    """
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local" / "state"))
    make_directory(home / ".local" / "state" / "alma")
    shutil.copy(journal_key, home / ".local" / "state" / "alma")
    monkeypatch.setenv("PULUMI_HOME", str(pulumi_home))
    monkeypatch.setenv("PULUMI_SKIP_UPDATE_CHECK", "1")
    # Short-lived CLIs by the thousand: what each would spend on its garbage is a tenth of its time.
    monkeypatch.setenv("GOGC", "off")
    if pulumi_command is not None:
        monkeypatch.setenv("PATH", str(pulumi_command.parent), prepend=os.pathsep)
    if known_version is not None:
        cache = home / ".cache" / "alma"
        cache.mkdir(parents=True, mode=0o700)
        shutil.copy(known_version, cache)
    accounts = [name for name in os.environ if name.startswith(FOREIGN_PREFIXES)]
    for name in (*FOREIGN, *FOREIGN_SIZE, *accounts):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def forgotten_imports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test imports of its own files, and from where, is not there for the next one."""
    place, search, entries = str(tmp_path_factory.getbasetemp()), sys.path, [*sys.path]
    known = set(sys.modules)
    yield
    search[:] = entries
    for name in sys.modules.keys() - known:
        if str(getattr(sys.modules.get(name), "__file__", None)).startswith(place):
            sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def pulumi_cli(pulumi_command: Path | None) -> Path:
    """The Pulumi CLI on PATH; tests that need the real engine ask for it."""
    if pulumi_command is None:
        pytest.fail(
            "There is no Pulumi CLI here: run the tests by `nox -s tests`, "
            "or put the Pulumi CLI on PATH.",
            pytrace=False,
        )
    return pulumi_command


@pytest.fixture
def under_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """New stacks have the key that alma's own passphrase gives, as users' have: it is tested."""
    monkeypatch.setenv("ALMA_TEST_PASSPHRASE", "1")
