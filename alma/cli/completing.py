"""What a shell offers for runs, steps, targets and parameters when Tab is pressed.

Runs and steps are read from the journal that the command line names. Only for the names of a
function's parameters its file is executed: they stand nowhere else. One in YAML is only read.
An error offers nothing, since there is nobody to be told. What another one's journal calls its
runs and steps is put on the command line as it is: so only what no shell takes for more than a
word is offered.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from alma.cli.default_target import default_target

if TYPE_CHECKING:
    from alma.core.run import RunStatus
    from alma.journal import Journal

BREAKS: Final = (":", "=")
"""Words of their own to bash, in the middle of `infra.py:shop` and of `--stack=dev`."""
LATEST: Final = "latest"
_MOST: Final = 50
"""Runs that are offered, and that are looked through for a file's."""
_FILES: Final = (".py", ".yaml", ".yml")
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*=?")

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
        if run is None:
            return []
        others = ((name, "not in the newest run") for name in run.left_out)
        return [*((step.name, step.kind) for step in run.definition.steps), *others]

    return _offered(_from_journal(context, read), incomplete)


def complete_target(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """A file, which is the shell's own to find."""
    return [CompletionItem(incomplete, type="file")]


def complete_parameter(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`region=`, for each parameter of what TARGET names."""
    if "=" in incomplete:
        return []
    from alma.saga.target import open_target

    nowhere = io.StringIO()
    try:
        # What the file prints would be taken for an offer, and stand in the middle of a line.
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            parameters = open_target(_target_of(context)).parameters
    except Exception:  # noqa: BLE001 - as of the journal
        return []
    return _offered([(f"{one.name}=", one.spelled) for one in parameters], incomplete)


COMPLETIONS: Final[dict[str, Complete]] = {
    "run": complete_run,
    "step": complete_step,
    "target": complete_target,
    "parameter": complete_parameter,
}
"""By what `alma.cli.options.completed` is asked for."""


def _run_of(journal: Journal, context: click.Context) -> RunStatus | None:
    from alma.journal.reading import load_run

    given = context.params
    if reference := given.get("run") or given.get("to"):
        return load_run(journal, journal.resolve(str(reference)))
    file = _file(_target_of(context))
    for row in journal.runs(limit=_MOST):
        run = load_run(journal, row.run)
        if run.origin and _file(run.origin) == file:
            return run
    return None


def _target_of(context: click.Context) -> str:
    """TARGET; before an option that has no value yet, click has not told it from other words."""
    return str(next(iter(context.args), None) or context.params.get("target") or default_target())


def _file(origin: str) -> str:
    """Of `path/saga.py:saga` and `path/saga.yaml` the file, of `shop.saga:saga` the module."""
    where = origin if Path(origin).exists() else origin.rpartition(":")[0] or origin
    return str(Path(where).absolute()) if where.endswith(_FILES) else where


def _from_journal(
    context: click.Context, read: Callable[[Journal], Iterable[tuple[str, str]]]
) -> list[tuple[str, str]]:
    from alma.journal import open_journal
    from alma.journal.address import may_be_there

    try:
        where = context.obj.where
        if not may_be_there(where):
            return []
        os.environ.setdefault("PGCONNECT_TIMEOUT", "2")  # a shell waits, and nobody sees for what
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


class Bash(BashComplete):
    """With the words as they are to the program."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the last, and the last as far as it is typed."""
        args, incomplete = super().get_completion_args()
        *whole, last = _joined([*args, incomplete])
        return whole, last


def _joined(words: list[str]) -> list[str]:
    joined: list[str] = []
    after_break = False
    for word in words:
        is_break = word in BREAKS
        if joined and (is_break or after_break):
            joined[-1] += word
        else:
            joined.append(word)
        after_break = is_break
    return joined


def register() -> None:
    """Have click answer bash by it."""
    add_completion_class(Bash)
