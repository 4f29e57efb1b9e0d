"""The one way out: usage errors, bugs of ours, and what is imported on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.cli import options
from alma.cli.program import COMMANDS
from tests.cli.tools import names

Write = Callable[..., Path]
Call = Callable[..., Result]

HEAVY = ("pulumi", "rich", "psutil", "cloudpickle", "grpc", "yaml")

IMPORTS = """
import sys
from alma.cli.program import program
try:
    program.main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sys.modules, file=sys.stderr)
"""


def imported(environment: dict[str, str], *words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_imports_nothing_heavy(environment: dict[str, str], words: list[str]) -> None:
    modules = imported(environment, *words)
    assert not modules & {
        *HEAVY,
        "alma.runner.start",
        "alma.journal.journal",
        "sqlite3",
        "asyncio.base_events",
    }


@pytest.mark.parametrize("words", ["runs", "status", "history latest", "verify", "graph"])
def test_commands_that_read_import_nothing_heavy(
    environment: dict[str, str], write: Write, cli: Call, words: str
) -> None:
    write()
    cli("up")
    assert not imported(environment, *words.split()) & set(HEAVY)


def test_a_run_of_actions_imports_no_pulumi(environment: dict[str, str], write: Write) -> None:
    write()
    assert not imported(environment, "up") & {"pulumi", "rich", "grpc"}


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["up", "--frobnicate"],
        ["resume", "one", "two"],
        ["history"],
        ["resume"],
        ["skip", "latest"],
        ["runs", "--limit", "0"],
        ["verify", "--head", "3"],
        ["graph", "--format", "png"],
        ["--journal"],
    ],
)
def test_a_usage_error_is_one_sentence_and_2(cli: Call, tmp_path: Path, words: list[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("hint: alma-pulumi")
    assert result.stdout == ""
    assert names(tmp_path) == []


def test_no_command_shows_the_help_with_2(cli: Call) -> None:
    result = cli()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A bug of ours behind every journal path; traces go into the directory."""
    (tmp_path / "traces").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "traces"))

    def broken(_shared: options.Invocation) -> Path:
        raise KeyError("a bug \x1b[31mof ours")

    monkeypatch.setattr(options.Invocation, "where", property(broken))
    return tmp_path / "traces"


def test_a_bug_of_ours_is_255_with_the_traceback_in_a_file(cli: Call, bug: Path) -> None:
    result = cli("runs")
    assert result.exit_code == 255
    first, second = result.stderr.splitlines()
    assert first.startswith("error: This is a bug in alma (KeyError: ")
    (kept,) = bug.iterdir()
    assert str(kept) in second
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert "\x1b" not in result.stderr


@pytest.mark.usefixtures("bug")
def test_debug_shows_the_traceback(cli: Call) -> None:
    assert "Traceback" in cli("runs", "--debug").stderr
    assert "Traceback" in cli("--debug", "runs").stderr


def test_a_repair_is_not_for_temporal(write: Write, cli: Call) -> None:
    """It would be made here, with what only a worker may have."""
    write()
    told = cli("up", "--repair", "--temporal", "127.0.0.1:1")
    assert told.exit_code == 2
    assert "leave out --temporal" in told.stderr
