"""Values that are kept elsewhere than where they are given: in the environment, in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alma.errors import DefinitionError


class Elsewhere(str):
    """A text that was read from where it was kept: it may be a secret."""

    __slots__ = ()


def resolved(tree: Any, name: str) -> Any:
    """With what is kept elsewhere in the place of its reference; `@@` is an `@` of its own."""
    if isinstance(tree, dict):
        return {key: resolved(entry, name) for key, entry in tree.items()}
    if isinstance(tree, list):
        return [resolved(entry, name) for entry in tree]
    if not isinstance(tree, str) or not tree.startswith("@"):
        return tree
    kind, _, which = tree.partition(":")
    if kind == "@env" and which:
        if which not in os.environ:
            raise DefinitionError(
                f"The parameter {name}: the environment variable {which} is not set."
            )
        return Elsewhere(os.environ[which])
    if kind == "@file" and which:
        try:
            return Elsewhere(one_line_less(Path(which).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DefinitionError(
                f"The parameter {name}: {which} cannot be read: {words(error)}."
            ) from error
    return tree[1:] if tree.startswith("@@") else tree


def one_line_less(text: str) -> str:
    """Without the end of its last line, which an editor or `echo` puts there."""
    return text.removesuffix("\n").removesuffix("\r")


def words(error: Exception) -> str:
    """Why it could not be read."""
    return getattr(error, "strerror", None) or "it is no UTF-8 text"
