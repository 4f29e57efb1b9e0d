"""What `doctor` asks of others, and what it says of them."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alma import LocalStack, Saga
from alma.journal import open_journal
from alma.runner.doctor import examine
from alma.runner.settings import actor
from alma.runner.start import up
from alma.steps.stack import localstack
from alma.steps.stack.localstack import is_here, localstack_problem
from alma.testing import FakeEngine, Fault
from tests.runner.helpers import ended, settings
from tests.security.conftest import STRANGER

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.fixture
def answers() -> Iterator[Callable[[Callable[[socket.socket], Any]], str]]:
    """A service that answers as it is told; its URL. It counts who has asked."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(answer: Callable[[socket.socket], Any]) -> str:
        def work() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    answer(connection)
            except OSError:
                return  # whoever asked has hung up, or nobody did

        threading.Thread(target=work, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield serve
    server.close()


def slowly(connection: socket.socket) -> None:
    """A byte now and then: no read takes long, and there is no end."""
    connection.sendall(HEADERS)
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def without_end(connection: socket.socket) -> None:
    connection.sendall(HEADERS)
    while True:
        connection.sendall(b"[" * 65_536)


def deep(connection: socket.socket) -> None:
    connection.sendall(HEADERS + b"[" * 100_000)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (slowly, "did not answer within"),
        (without_end, "does not answer as a LocalStack does"),
        (deep, "does not answer as a LocalStack does"),
    ],
)
def test_an_answer_is_waited_for_and_read_within_bounds(
    answers: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[socket.socket], Any],
    words: str,
) -> None:
    monkeypatch.setattr(localstack, "_PATIENCE", 1.0)
    began = time.monotonic()
    assert words in localstack_problem(LocalStack(answers(answer)))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:4566", True),
        ("http://127.0.0.1:4566", True),
        ("http://[::1]:4566", True),
        ("https://localhost.localstack.cloud:4566", True),
        ("http://localstack:4566", False),
        ("http://169.254.169.254", False),
        ("http://localhost.example.com:4566", False),
        ("http://evillocalhost.localstack.cloud", False),
        ("http://0x7f000001.example", False),
    ],
)
def test_which_localstack_is_on_this_machine(url: str, here: bool) -> None:
    assert is_here(LocalStack(url)) is here


async def test_a_localstack_elsewhere_is_asked_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that came with a checkout sends no request from this machine."""
    asked: list[str] = []
    monkeypatch.setattr("alma.runner.doctor.KINDS", ["stack"])
    monkeypatch.setattr(
        "alma.steps.stack.doctor.localstack_problem", lambda one: asked.append(one.url) or "is away"
    )
    monkeypatch.setattr("alma.steps.stack.localstack.localstack_problem", lambda _one: "")
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", effect="fail")])
    saga = Saga("s", on_failure="stop", aws=LocalStack("http://metadata.internal:80"))
    saga.add_stack("a", lambda: None)
    journal = tmp_path / "journal.db"

    await ended(up(saga, settings=settings(engine, journal)))
    (said,) = [check for check in await examine(journal) if check.name == "localstack"]
    assert asked == []
    assert said.message.endswith("is elsewhere: not asked")
    assert said.mend == "To ask it: alma-pulumi doctor --remote"
    (said,) = [one for one in await examine(journal, remote=True) if one.name == "localstack"]
    assert asked == ["http://metadata.internal:80"]
    assert said.message.endswith("is away")


async def test_a_program_that_hangs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks what is wrong is told so, and not left to wait."""
    hangs = ["/bin/sh", "-c", "sleep 300 & wait"]
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text('#!/bin/sh\n[ "$1" = version ] && exec echo v3.259.0\nsleep 300 & wait\n')
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(pulumi.parent), prepend=os.pathsep)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.setattr("alma.steps.stack.state_doctor._PATIENCE", 1.0)
    monkeypatch.setattr("alma.steps.ansible.playbook._STARTS", 1.0)
    monkeypatch.setattr("alma.steps.ansible.playbook._task", lambda *_: hangs)
    monkeypatch.setattr("alma.steps.ansible.playbook.require", lambda _environ: None)

    found = {check.name: check for check in await examine(tmp_path / "journal.db")}
    assert found["backend"].level == "fail"
    assert "`pulumi whoami` has not ended within 1 s" in found["backend"].message
    assert "has not ended within 1 s" in found["ansible"].message
    assert found["passphrase"].level == "ok"


@pytest.fixture
def somebody() -> Iterator[str]:
    """Another user who is at work here; the uid."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as somebody else")
    other = subprocess.Popen(
        ["/bin/sleep", "60"], user=STRANGER, group=STRANGER, extra_groups=[], cwd="/"
    )
    yield str(STRANGER)
    other.kill()
    other.wait()


async def test_other_users_processes_are_warned_of(
    tmp_path: Path, somebody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alma.runner.doctor.KINDS", ["stack"])
    (said,) = [one for one in await examine(tmp_path / "j.db") if one.name == "machine"]
    assert said.level == "warn"
    assert somebody in said.message
    assert "container" in said.mend


def test_the_actor_is_who_the_process_belongs_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is anybody's to set."""
    before = actor()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert actor() == before
    saga = Saga("s")
    saga.add_step(lambda: None, "none", name="a")
    saga.run()
    with open_journal(tmp_path / ".alma" / "journal.db", write=False) as journal:
        holder = journal.holder("s/dev")
    assert holder is not None
    assert holder.actor == before
