"""Text for people: durations, changes, resources, tables. Plain strings, no terminal codes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alma.journal.address import Address

_CODES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and cursor movement (ECMA-48, 5.4)
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_DIRECTIONS: Final = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What turns the direction of writing, or ends a line: a name would read as another one."""
_ORDERS: Final = re.compile(
    r"^([^\S\n]*):(?=:)"  # GitHub Actions: `::set-output`, `::add-mask`, `::stop-commands`
    r"|\#(?=\#\w*\[)"  # Azure Pipelines, older GitHub and TeamCity: `##vso[`, `##[`, anywhere
    r"|section(?=_(start|end):)",  # GitLab
    re.MULTILINE,
)
"""What CI runners obey, wherever it comes from, in what a job prints."""
_DONE: Final = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "same": "unchanged",
    "read": "read",
    "import": "imported",
    "discard": "discarded",
}


def plain(text: str) -> str:
    """What a provider or a program said is shown, not obeyed: by no terminal, and no CI runner."""
    return unordered(_CODES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def unordered(text: str) -> str:
    """The same of a text with terminal codes of our own."""
    shown = _DIRECTIONS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return _ORDERS.sub(lambda found: f"{found[0]} ", shown)


def name(text: str) -> str:
    """A name or an id: on one line, whatever is in it."""
    return plain(text.replace("\r", "\\r").replace("\n", "\\n"))


def one_line(text: str, width: int = 200) -> str:
    """The first line that says something, cut to `width` characters."""
    first = next((line.strip() for line in plain(text).splitlines() if line.strip()), "")
    return cut(first.replace("\t", " "), width)


def cut(text: str, width: int) -> str:
    """At most `width` characters, with an ellipsis for what is missing."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def block(text: str, indent: str, most: int = 12) -> list[str]:
    """The text's lines, indented, at most so many of them."""
    lines = [line.rstrip() for line in plain(text).strip().splitlines()]
    more = [f"... {len(lines) - most} more lines"] if len(lines) > most else []
    return [f"{indent}{cut(line, 400)}" for line in (*lines[:most], *more) if line]


def duration(seconds: float) -> str:
    """`0.4s`, `12.3s`, `2m05s`, `1h02m`."""
    if round(seconds, 1) < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def moment(at: datetime | None) -> str:
    """`2026-01-31 14:25:01 UTC`, or a dash."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "-"


def changes(counts: Mapping[str, int], *, planned: bool = False) -> str:
    """`3 created, 1 unchanged`; planned: `3 to create, 1 unchanged`."""
    words = []
    for op, count in counts.items():
        word = _DONE.get(op, op)
        if planned and op not in ("same", "read"):
            word = f"to {op}"
        if count:
            words.append(f"{count} {word}")
    return ", ".join(words)


def count(number: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def resource(urn: str) -> str:
    """`aws:s3/bucket:Bucket logs` for a URN; the text itself when it is none."""
    parts = urn.split("::", 3)
    if len(parts) < 4:  # noqa: PLR2004 - urn:pulumi:STACK, PROJECT, TYPES, NAME
        return name(urn)
    return name(f"{parts[2].rsplit('$', 1)[-1]} {parts[3]}")


def command_line(words: str, journal: Address | None) -> str:
    """A command to be copied from a report: with the `--journal` that this report is from."""
    chosen = f" --journal {quoted(str(journal))}" if journal else ""
    return f"alma-pulumi {words}{chosen}"


def quoted(text: str) -> str:
    """As a shell takes it for one word."""
    import shlex

    return shlex.quote(text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Aligned columns; the last one is not padded. On a terminal cut to its width."""
    cells = [list(header), *([plain(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    if sys.stdout is None or not sys.stdout.isatty():
        return lines
    import shutil

    return [cut(line, max(shutil.get_terminal_size().columns, 20)) for line in lines]
