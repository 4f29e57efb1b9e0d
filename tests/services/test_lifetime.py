from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from tests.services import obtain
from tests.services.network import ROUTES
from tests.services.plugin import ENVIRONMENT
from tests.services.process import ServiceError, started
from tests.toolchain.fakes import executable
from tests.waiting import until

# The services are asked for in a pytest within the test.
pytestmark = pytest.mark.services

# In a pytest of its own. What it says of its services is there once it is whole.
INNER = """\
import pathlib, time
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_something(number, docker_daemon, {fixtures}):
    with docker_daemon.client().api as api:
        api.start(api.create_container(docker_daemon.image, ["sleep", "1000"]))
    part = pathlib.Path({directory!r}, f"{{number}}.part")
    part.write_text(str([docker_daemon, {fixtures}]))
    part.rename(part.with_suffix(".ready"))
    {then}
"""


@pytest.fixture
def start(tmp_path: Path, pytestconfig: pytest.Config) -> Callable[..., subprocess.Popen[bytes]]:
    """Start a pytest whose services are not this one's."""

    def start(
        *options: str,
        fixtures: str = "",
        tests: int,
        then: str = "pass",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.Popen[bytes]:
        own = pytestconfig.stash[ENVIRONMENT]
        file = tmp_path / "test_inner.py"
        directory = str(tmp_path)
        file.write_text(
            INNER.format(fixtures=fixtures, tests=tests, then=then, directory=directory)
        )
        command = [sys.executable, "-m", "pytest", "-p", "tests.services.plugin", *options]
        with (tmp_path / "output").open("wb") as output:
            return subprocess.Popen(
                [*command, "-p", "no:cacheprovider", str(file)],
                cwd=obtain.ROOT,
                env={**own, **environment},
                stdout=output,
                stderr=output,
            )

    return start


def directory_of(report: str) -> Path:
    """Where the services of a test are."""
    match = re.search(r"unix://(.*?)/docker/docker\.sock", report)
    assert match is not None
    return Path(match[1])


def processes_of(directory: Path) -> list[psutil.Process]:
    """The keepers of the services, and all that they have started."""
    keepers = [psutil.Process(int(pid.read_text())) for pid in directory.glob("*/pid")]
    return [p for keeper in keepers for p in (keeper, *keeper.children(recursive=True))]


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_workers_share_their_services_and_a_killed_run_leaves_none(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    run = start(
        *("-n", "2"), fixtures="localstack, kubernetes_api", tests=2, then="time.sleep(1000)"
    )

    def output() -> str:
        return (tmp_path / "output").read_text()

    try:
        until(lambda: len(list(tmp_path.glob("*.ready"))) == 2 or run.poll(), output)
        reports = {path.read_text() for path in tmp_path.glob("*.ready")}
        assert len(reports) == 1, output()
        directory = directory_of(reports.pop())
        processes = processes_of(directory)
        names = [process.name() for process in processes]
    finally:
        run.kill()
        run.wait()
    for name in ("dockerd", "containerd", "etcd", "kube-apiserver", "kwok"):
        assert names.count(name) == 1
    # A container for each of the two tests.
    assert names.count("sleep") == 2
    until(lambda: all(map(gone, processes)), lambda: [p for p in processes if not gone(p)])
    until(lambda: not directory.exists(), lambda: list(directory.rglob("*")))


def test_a_run_that_ends_has_ended_its_services(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    run = start(tests=1, then="time.sleep(1000)")
    try:
        until(lambda: list(tmp_path.glob("*.ready")) or run.poll(), tmp_path.exists)
        directory = directory_of((tmp_path / "0.ready").read_text())
        processes = processes_of(directory)
        assert "sleep" in [process.name() for process in processes]
        # By its name: another daemon of the tests may begin meanwhile, and go on.
        commands = [process.cmdline() for process in processes]
        bridge = next(it[it.index("--bridge") + 1] for it in commands if "--bridge" in it)
        assert f"{bridge}\t" in ROUTES.read_text()
    finally:
        # As from the keyboard.
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == pytest.ExitCode.INTERRUPTED
    assert all(map(gone, processes))
    assert not directory.exists()
    assert f"{bridge}\t" not in ROUTES.read_text()


QUIET = {"PYTEST_ADDOPTS": "-rN"}
"""No summary: under CI it has each message once more, whole."""


def test_a_service_that_does_not_start_is_told_with_its_last_words(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    executable(tmp_path / "bin" / "dockerd", "#!/bin/sh\nseq 100; echo no room; exit 3\n")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run = start(tests=2, environment={"PATH": path, "TMPDIR": str(tmp_path), **QUIET})
    assert run.wait(120) == pytest.ExitCode.TESTS_FAILED
    output = (tmp_path / "output").read_text()
    words = "\n".join(["its log ends with:", *map(str, range(87, 101)), "no room"])
    # Each test says it, and nothing else; the service is not tried again.
    assert output.count(f"dockerd ended with 3 at its start; {words}\n") == 2
    assert "Traceback" not in output
    assert not list(tmp_path.glob("alma-services-*"))


def test_a_service_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    endless = ["sh", "-c", "echo waiting; sleep 1000 & wait"]
    with (
        started(endless, directory=tmp_path, environment={}) as process,
        pytest.raises(ServiceError, match=r"not ready after 0\.5 s; its log ends with:\nwaiting"),
    ):
        process.wait_until(lambda: False, 0.5)
    assert process.popen.poll() == -signal.SIGKILL
