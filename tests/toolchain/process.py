"""Running the programs that fetch and build others: bounded in time, their output in a log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class UnavailableError(Exception):
    """A program can neither be found nor made; the text is one sentence saying what to do."""


class FailedError(Exception):
    """A program that was to fetch or build something failed or took too long; see its log."""


def say(text: str) -> None:
    """Tell the person who waits; stdout belongs to the answer."""
    print(f"toolchain: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str], *, log: Path, timeout: float, cwd: Path) -> str:
    """Run `command` to its end and return its stdout; both streams are added to `log`."""
    # GOWORK: a go.work in a directory above would replace the modules that are pinned here.
    environment = {**os.environ, "GOWORK": "off"}
    with log.open("a", encoding="utf-8") as stream:
        print("$", *command, file=stream, flush=True)
        # A session of its own, so that the compilers and downloads it starts end with it.
        with subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    print(f"killed after {timeout:g} s", file=stream)
                    raise FailedError from None
                raise
        stream.write(output)
    if process.returncode:
        raise FailedError
    return output
