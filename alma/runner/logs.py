"""Where operations log to: beside the journal, by run and operation, and nowhere else.

What a row says of a path is for people to read. A directory that is written to or cleaned is made
of names, and a name that would lead elsewhere is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from alma.core.events import LogEnd
from alma.core.run import StepStatus
from alma.errors import JournalError
from alma.system.files import PRIVATE, clean_logs
from alma.system.processes import may_live
from alma.system.tail import last_bytes, last_lines

_SHOWN: Final = ("*.log", "traceback.txt")
"""What tools keep beside these, as long as they run, may hold secrets."""
KEPT_LINES: Final = 20
KEPT_BYTES: Final = 4096
_KEPT_FILES: Final = 3
"""Of each file of a failed operation's log, and how many files: it stays in the journal."""


def logs_of(journal: Path, run: str) -> Path:
    """The directory of a run's logs."""
    return journal.parent.absolute() / "logs" / _named(run)


def log_of(logs: Path, operation: str) -> Path:
    """The directory of an operation's, in that of its run."""
    return logs / _named(operation)


def files_of(log: Path) -> list[Path]:
    """The files of an operation's log that are for people: in its directory, or the one it is."""
    if not log.is_dir():
        return [log] if log.is_file() else []
    return [path for pattern in _SHOWN for path in sorted(log.glob(pattern))]


def ends_of(log: Path, most: int) -> list[tuple[str, list[str]]]:
    """Of each of these files that says something its name and its last lines."""
    found = ((path.name, last_lines(last_bytes(path), most)) for path in files_of(log))
    return [(name, lines) for name, lines in found if lines]


def kept_ends(log: Path, clean: Callable[[str], str]) -> tuple[LogEnd, ...]:
    """What of a log goes into the journal, for hosts that do not have it.

    More is cleaned than is kept, so that no part of a secret stands where it is cut.
    """
    kept = []
    for path in files_of(log)[:_KEPT_FILES]:
        lines = last_lines(clean(last_bytes(path)), KEPT_LINES)
        text = "\n".join(lines).encode()[-KEPT_BYTES:].decode(errors="ignore")
        if text:
            kept.append(LogEnd(name=path.name, text=text))
    return tuple(kept)


def clean_cut_off(logs: Path, steps: Iterable[StepStatus], clean: Callable[[str], str]) -> None:
    """Clean what the operations of a killed run have logged, where nobody goes on with them.

    What a program was given goes as well, unless it may be at work with it.
    """
    cut = [step.open for step in steps if step.open is not None]
    for operation, log in [(one, log_of(logs, one.id)) for one in cut]:
        clean_logs(log, clean)
        if not any(may_live(process) for process in operation.processes):
            shutil.rmtree(log / PRIVATE, ignore_errors=True)


def _named(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise JournalError(
            f"The journal cannot be trusted: {name!r} is the name of no run and no operation.",
            hint="alma-pulumi verify names the first break.",
        )
    return name
