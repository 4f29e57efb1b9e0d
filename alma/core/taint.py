"""Outputs that hold a known secret as plain text: they are secret as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from alma.core.redaction import Redactor
from alma.core.secret import Secret

_TELLING = 8
"""Characters that a secret must have for texts that merely contain it to be secret as well."""


def taint(outputs: Mapping[str, Any], secrets: Iterable[Secret]) -> dict[str, Any]:
    """Outputs in which each text that holds a known secret value is a secret itself.

    A program can read a secret input as plain text and hand it out: nobody marks it then, but it
    must not reach the journal.
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
