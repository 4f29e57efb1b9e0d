from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alma.cli.program import program
from tests.cli.terminal import Terminal
from tests.cli.tools import SAGA

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a saga's file into the working directory."""

    def write_file(text: str = SAGA, name: str = "saga.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Call `alma-pulumi` in this process."""

    def call(*words: str) -> Result:
        return CliRunner().invoke(program, words)

    return call


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a process that runs this checkout."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def spawn(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `alma-pulumi` as a process of its own, in a pipe; it is gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, ignoring: str = "", **options: Any) -> subprocess.Popen[str]:
        # By a shell: a `preexec_fn` runs in a fork, which gRPC ends where this process has used it
        # (https://github.com/grpc/grpc/issues/43055).
        shell = ["sh", "-c", f"trap '' {ignoring}; exec \"$@\"", "sh"] if ignoring else []
        process = subprocess.Popen(
            [*shell, sys.executable, "-m", "alma", *words],
            **{
                "env": environment,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start `alma-pulumi` on a terminal."""
    started: list[Terminal] = []

    def start(*words: str, columns: int = 80, rows: int = 24, **more: str) -> Terminal:
        command = [sys.executable, "-m", "alma", *words]
        variables = {**environment, "TERM": "xterm-256color", "LANG": "C.UTF-8", **more}
        started.append(Terminal(command, variables, columns, rows))
        return started[-1]

    yield start
    for each in started:
        each.close()
