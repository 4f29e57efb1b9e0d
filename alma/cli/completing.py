"""What a shell offers for runs, steps and targets when Tab is pressed.

All of it is read: from the journal that the command line names, and from no file of the user's.
An error offers nothing, since there is nobody to be told. What another one's journal calls its
runs and steps is put on the command line as it is: so only what no shell takes for more than a
word is offered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from alma.core.run import RunStatus
    from alma.journal import Journal

LATEST: Final = "latest"
_MOST: Final = 50
"""Runs that are offered, and that are looked through for a file's."""
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_run(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of runs, the newest first, with what each is a run of."""

    def read(journal: Journal) -> Iterable[tuple[str, str]]:
        rows = journal.runs(limit=_MOST)
        return [(row.run, f"{row.kind} {row.target}") for row in rows]

    found = _from_journal(context, read)
    return _offered([(LATEST, "the newest run"), *found] if found else [], incomplete)


def complete_step(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of steps: of the run, or of the newest run of TARGET's file."""

    def read(journal: Journal) -> Iterable[tuple[str, str]]:
        run = _run_of(journal, context)
        return [(step.name, step.kind) for step in run.definition.steps] if run else []

    return _offered(_from_journal(context, read), incomplete)


def complete_target(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """A file, which is the shell's own to find."""
    return [CompletionItem(incomplete, type="file")]


def _run_of(journal: Journal, context: click.Context) -> RunStatus | None:
    from alma.journal.reading import load_run

    given = context.params
    if reference := given.get("run") or given.get("to"):
        return load_run(journal, journal.resolve(str(reference)))
    file = _file(str(given.get("target") or "saga.py"))
    for row in journal.runs(limit=_MOST):
        run = load_run(journal, row.run)
        if run.origin and _file(run.origin) == file:
            return run
    return None


def _file(origin: str) -> str:
    """Of `path/saga.py:saga` the file, and of `shop.saga:saga` the module."""
    where = origin if Path(origin).exists() else origin.rpartition(":")[0] or origin
    return str(Path(where).absolute()) if where.endswith(".py") else where


def _from_journal(
    context: click.Context, read: Callable[[Journal], Iterable[tuple[str, str]]]
) -> list[tuple[str, str]]:
    from alma.journal import open_journal

    where: Path = context.obj.journal_path
    try:
        if not where.exists():
            return []
        with open_journal(where, write=False) as journal:
            return list(read(journal))
    except Exception:  # noqa: BLE001 - whatever it is, a command that is run will tell of it
        return []


def _offered(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(word, help=_help(words))
        for word, words in found
        if word.startswith(incomplete) and _WORD.fullmatch(word)
    ]


def _help(words: str) -> Any:
    """Beside a word, where the shell shows that: on one line, and nothing but text."""
    return re.sub(r"[^A-Za-z0-9 ./_-]", "?", words)[:80] or None
