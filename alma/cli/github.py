"""What GitHub Actions obeys in a job's output: groups and annotations, and nothing else.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions

Whatever a provider or a program has said stands in a command as data, escaped as its own toolkit
does: it can neither end the line nor begin another command.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from alma.cli.output import order
from alma.reports.text import plain

_DATA: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY: Final = {**_DATA, ":": "%3A", ",": "%2C"}


def is_listening() -> bool:
    """Whether the output is read by a runner of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def summary_file() -> Path | None:
    """What is appended to it stands on the page of the job; None where nobody listens.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions#adding-a-job-summary
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY", "")
    return Path(path).absolute() if path and is_listening() else None


def begin_group(title: str) -> None:
    """Lines up to `end_group` are folded under this title."""
    order(f"::group::{_escaped(title, _DATA)}")


def end_group() -> None:
    """End what `begin_group` began: groups do not nest."""
    order("::endgroup::")


def annotate(title: str, message: str) -> None:
    """Show an error on the page of the job, above its output."""
    order(f"::error title={_escaped(title, _PROPERTY)}::{_escaped(message, _DATA)}")


def _escaped(text: str, how: dict[str, str]) -> str:
    return "".join(how.get(letter, letter) for letter in plain(text).strip())
