"""What is written where: stdout is for the answer, stderr for errors; a closed pipe is no error."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Final

import click

_COLOURS: Final = {
    "COMPLETED": "green",
    "COMPENSATED": "yellow",
    "FAILED": "red",
    "RUNNING": "cyan",
    "COMPENSATING": "magenta",
}
_STYLES: Final = re.compile(r"(\x1b\[(?:3[1-6]|0)m)")
"""Those of `state`."""
_GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)
"""The reader has left (`| head`), or the terminal has: nobody is there to be told."""


def say(text: str = "", *, err: bool = False) -> None:
    """Print a line; quiet from then on when nobody reads any more. Raises OSError (disk full)."""
    from alma.reports.text import plain, unordered

    # Whatever has come into it, and from wherever: of terminal codes only our colours stay.
    safe = "".join(
        part if place % 2 else plain(part) for place, part in enumerate(_STYLES.split(text))
    )
    _write(lambda: click.echo(unordered(safe), err=err), sys.stderr if err else sys.stdout)


def order(line: str) -> None:
    """Print one line that a CI runner is to obey: of our own making, what is foreign escaped."""
    _write(lambda: click.echo(line), sys.stdout)


def state(word: str) -> str:
    """The word in its colour, where colours are wanted."""
    return click.style(word, fg=_COLOURS.get(word.partition(" ")[0])) if _coloured() else word


def _coloured() -> bool:
    """On a terminal, unless NO_COLOR says otherwise (https://no-color.org)."""
    stream = sys.stdout
    return not os.environ.get("NO_COLOR") and stream is not None and stream.isatty()


def print_json(document: Any, stream: IO[str]) -> None:
    """Print the one JSON document. ASCII only: it fits every locale and terminal.

    What some CI runners obey anywhere in a line stands in texts alone, and is escaped.
    """
    import json

    text = json.dumps(document, indent=2).replace("##", "#\\u0023")
    text = text.replace("section_", "section\\u005f")
    _write(lambda: click.echo(text, file=stream), stream)


def _write(work: Any, stream: IO[str]) -> None:
    try:
        work()
    except OSError as error:
        _silence(stream)  # or Python tries once more at its end, and complains
        if error.errno not in _GONE:
            raise


def _silence(stream: IO[str]) -> None:
    """What is still in its buffer, and all that follows, goes nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def answer_stream(*, reserved: bool) -> Iterator[IO[str]]:
    """The stream for the answer.

    Reserved, nothing else can reach it: what a saga's file, an action or a process of theirs
    prints on stdout goes to stderr.
    """
    _tolerate()
    if not reserved or sys.stdout is None:
        yield sys.stdout
        return
    before, saved = sys.stdout, _redirect()
    sys.stdout = sys.stderr
    try:
        if saved is None:
            yield before
        else:
            with os.fdopen(os.dup(saved), "w", encoding="ascii") as stream:
                yield stream
    finally:
        sys.stdout = before
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _redirect() -> int | None:
    """Point descriptor 1 at stderr and return a copy of it; None where stdout is not it."""
    try:
        if sys.stdout.fileno() != 1:
            return None
        saved = os.dup(1)
        os.dup2(sys.stderr.fileno(), 1)
    except (OSError, ValueError):
        return None
    return saved


def _tolerate() -> None:
    """A character that the terminal's encoding lacks must not end a run's report."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
