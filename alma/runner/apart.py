"""A run that is gone on with in a process of its own, by who must not wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from alma.core.redaction import Redactor
from alma.journal import Journal
from alma.journal.address import VARIABLE, Address, PostgresUrl
from alma.journal.reading import RunView
from alma.runner.approve import NAME
from alma.runner.logs import logs_of
from alma.runner.operation_logs import LOCKED, redactor
from alma.system.files import make_directory, open_log
from alma.system.tail import last_bytes, last_lines

_DIRECTORY: Final = "apart"
"""In the directory of a run's logs; no operation has this name."""
_SHOWN: Final = 3
_LINES: Final = 100
"""Of so many processes so many lines are told."""


def start(
    journal: Journal,
    where: Address,
    run: str,
    way: Literal["resume", "rollback"],
    *,
    reason: str,
    name: str = "",
) -> subprocess.Popen[bytes]:
    """`alma-pulumi resume` or `rollback`, which goes on when whoever calls this has ended.

    What it says goes to a file beside the run's logs (see `outputs`). `name` is under whose name it
    acts, where that is not whoever runs this.
    """
    directory = logs_of(journal.path, run) / _DIRECTORY
    make_directory(directory)
    words = [sys.executable, "-P", "-m", "alma", way, f"--reason={reason}", "--", run]
    if way == "rollback":
        words.insert(5, "--yes")
    with open_log(directory / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{way}.log") as log:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(os.environ, where, name),
            start_new_session=True,  # what ends our terminal or us does not end it
        )
    threading.Thread(target=process.wait, daemon=True).start()  # else it would stay a zombie
    return process


class Said(Struct, frozen=True, kw_only=True):
    """The end of what such a process has said; `name` is when it began, and what it was."""

    name: str
    text: str


def outputs(journal: Journal, view: RunView) -> list[Said]:
    """Of the last ones of a run, the newest first. No secret is in it."""
    directory = logs_of(journal.path, view.run.run) / _DIRECTORY
    found = sorted(directory.glob("*.log"), reverse=True)[:_SHOWN]
    clean = redactor(journal, view) if found else None
    return [Said(name=path.stem, text=_end(path, clean) if clean else LOCKED) for path in found]


def _end(path: Path, clean: Redactor) -> str:
    # Cleaned before it is cut, so that no part of a secret stands where that is.
    return "\n".join(last_lines(clean(last_bytes(path)), _LINES))


def _environment(environ: Mapping[str, str], where: Address, name: str) -> dict[str, str]:
    """A URL may hold a password, which a command line would show."""
    address = where.whole if isinstance(where, PostgresUrl) else str(where.absolute())
    return {**environ, VARIABLE: address, **({NAME: name} if name else {})}
