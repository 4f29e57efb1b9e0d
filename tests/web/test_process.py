"""The command as a process: what it prints, what it refuses, what it starts, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from alma.cli.program import program
from alma.journal import open_journal
from alma.journal.reading import load_run
from tests.cli.conftest import environment, spawn
from tests.cli.tools import WAITING, wait_for
from tests.waiting import until
from tests.web.client import JOURNAL

__all__ = ["environment", "spawn"]

Spawn = Callable[..., "subprocess.Popen[str]"]


def refused(*words: str) -> str:
    done = CliRunner().invoke(program, ["ui", *words])
    assert done.exit_code in (2, 6, 11), done.output
    assert "Traceback" not in done.output
    return f"{done.exit_code} {' '.join(done.output.split())}"


def test_what_cannot_be_served_is_refused_in_one_sentence(
    failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failed
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        assert f"2 error: Port {port} of 127.0.0.1 cannot be had" in refused("--port", port)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):  # noqa: S104 - refused
        assert "can be reached from other machines" in refused("--host", host)
    assert "no address of this machine" in refused("--host", "none.invalid", "--token", "x" * 16)
    assert "at least 16" in refused("--token", "short")
    assert "one of them" in refused("--token", "x" * 16, "--behind-proxy", "X-User")
    Path("no-journal.db").write_text("hello")
    assert refused("--journal", "no-journal.db").startswith("11 error: ")
    assert refused("--journal", "no.db").startswith("6 error: There is no journal no.db.")
    monkeypatch.setattr("alma.cli.commands.ui.find_spec", lambda _: None)
    assert "2 error: `alma-pulumi ui` needs starlette" in refused()


@pytest.mark.lives
def test_a_run_is_gone_on_with_from_the_page_watched_and_outlives_the_server(
    spawn: Spawn, tmp_path: Path
) -> None:
    (tmp_path / "saga.py").write_text(WAITING)
    up = spawn("up")
    wait_for(tmp_path / "at-work")
    up.kill()
    up.wait()
    (tmp_path / "at-work").unlink()
    server = spawn("ui", "--port", "0", "--actions", "--json")
    assert server.stdout is not None
    document = server.stdout.readline() + server.stdout.readline() + server.stdout.readline()
    url = json.loads(document)["url"]
    with httpx.Client(base_url=url.partition("?")[0], trust_env=False, timeout=60) as client:
        assert client.get(url).status_code == 303
        run = client.get("runs/latest").headers["location"].rpartition("/")[2]
        form = client.get(f"runs/{run}/actions/resume").text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
        path = f"runs/{run}/actions/resume"
        origin = {"origin": url.partition("/?")[0]}
        fields["reason"] = "it was cut off"
        assert client.post(path, data=fields, headers=origin).status_code == 303
        wait_for(tmp_path / "at-work")
        with client.stream("GET", f"runs/{run}/events?after=4") as stream:
            seen = ""
            for line in stream.iter_lines():
                seen += f"{line}\n"
                if '"state":"RUNNING"' in line:
                    break
            assert "it was cut off" in seen
            # The stream is open, and is no reason to stay.
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
    (tmp_path / "go").touch()
    wait_for(tmp_path / "last")
    with open_journal(JOURNAL, write=False) as journal:
        until(lambda: load_run(journal, run).state.is_final)
        assert load_run(journal, run).state.name == "COMPLETED"
    (said,) = (tmp_path / ".alma" / "logs" / run / "apart").iterdir()
    assert said.name.endswith("-resume.log")
    assert run in said.read_text()
