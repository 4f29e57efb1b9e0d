"""Known secret values taken out of what an operation leaves behind: logs, messages, outputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from alma.events import Failure
from alma.redact import Redactor
from alma.secret import Secret


def scrub(directory: Path, redact: Redactor) -> None:
    """Rewrite the directory's log files without known secrets, a line in memory at a time.

    A log that holds one and cannot be rewritten (the disk is full) is deleted.
    """
    for path in directory.glob("*.log"):
        draft = path.with_name(f".{path.name}.clean")
        try:
            with _open(path, os.O_RDONLY) as log:
                if all(redact(line) == line for line in log):
                    continue
            with _open(path, os.O_RDONLY) as log, _open(draft, os.O_WRONLY) as clean:
                clean.writelines(redact(line) for line in log)
            draft.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            draft.unlink(missing_ok=True)


def _open(path: Path, mode: int) -> TextIO:
    """Open as text that keeps bytes that are none; what is written is for this user alone."""
    writes = mode == os.O_WRONLY
    descriptor = os.open(path, mode | (os.O_CREAT | os.O_TRUNC if writes else 0), 0o600)
    return os.fdopen(
        descriptor, "w" if writes else "r", encoding="utf-8", errors="surrogateescape", newline=""
    )


def clean_failure(failure: Failure | None, redact: Redactor) -> Failure | None:
    """The failure with known secrets taken out of its words."""
    if failure is None:
        return None
    return replace(failure, message=redact(failure.message), hint=redact(failure.hint))


_TELLING = 8
"""Characters that a secret must have for texts that merely contain it to be secret as well."""


def taint(outputs: Mapping[str, Any], secrets: Iterable[Secret]) -> dict[str, Any]:
    """Outputs in which each text that holds a known secret value is a secret itself.

    A program can read a secret input as plain text and export it: Pulumi keeps it as plain text,
    but it must not reach the journal.
    """
    texts = set(_texts(list(secrets)))
    redact = Redactor()
    redact.learn([Secret(text) for text in texts if len(text) >= _TELLING])

    def mark(tree: Any) -> Any:
        if isinstance(tree, str):
            return Secret(tree) if tree in texts or redact(tree) != tree else tree
        if isinstance(tree, Mapping):
            return {key: mark(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [mark(value) for value in tree]
        return tree

    return {key: mark(value) for key, value in outputs.items()}


def _texts(tree: Any) -> Iterator[str]:
    """Every text in secrets that are open, however deep."""
    if isinstance(tree, Secret):
        yield from () if tree.is_sealed else _texts(tree.value)
    elif isinstance(tree, Mapping):
        yield from (text for value in tree.values() for text in _texts(value))
    elif isinstance(tree, list | tuple):
        yield from (text for value in tree for text in _texts(value))
    elif isinstance(tree, str) and tree:
        yield tree
