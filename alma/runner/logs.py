"""Where operations log to: beside the journal, by run and operation, and nowhere else.

What a row says of a path is for people to read. A directory that is written to or cleaned is made
of names, and a name that would lead elsewhere is refused.
"""

from __future__ import annotations

from pathlib import Path

from alma.errors import JournalError


def logs_of(journal: Path, run: str) -> Path:
    """The directory of a run's logs."""
    return journal.parent.absolute() / "logs" / _named(run)


def log_of(logs: Path, operation: str) -> Path:
    """The directory of an operation's, in that of its run."""
    return logs / _named(operation)


def _named(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise JournalError(
            f"The journal cannot be trusted: {name!r} is the name of no run and no operation.",
            hint="alma-pulumi verify names the first break.",
        )
    return name
