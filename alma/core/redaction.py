"""Taking known secret values out of text before it is journaled, logged or shown.

Outputs that hold a known secret as plain text are marked: they are secret as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from msgspec.structs import replace

from alma.core.events import Failure
from alma.core.secret import MASK, Secret, secrets_in

SHORTEST = 3
"""Shorter values are left alone: replacing every "1" would make a text unreadable."""

_TELLING = 8
"""Characters that a secret must have for texts that merely contain it to be secret as well."""


_USER_INFO: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/?#:@]*):[^\s/?#@]+@", re.IGNORECASE)
_TELLING_KEYS: Final = re.compile(
    r"([?&][\w.-]*(?:pass|secret|token|signature|\bsig|access_?key|credential)[\w.-]*=)[^&\s#\"']+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """The text with passwords and keys in its URLs masked."""
    return _TELLING_KEYS.sub(rf"\1{MASK}", _USER_INFO.sub(rf"\1:{MASK}@", text))


class Redactor:
    """Remembers secret values and replaces them, in every usual spelling, by `[secret]`.

    Spellings: plain, JSON-escaped, URL-quoted, base64 (standard and URL-safe, at each of the
    three alignments inside a longer encoded text).
    """

    def __init__(self) -> None:
        self._spellings: set[str] = set()

    def learn(self, tree: Any) -> None:
        """Remember every opened `Secret` in the tree, and the strings inside it."""
        for secret in secrets_in(tree):
            if not secret.is_sealed:
                self._learn_value(secret.value)

    def __call__(self, text: str) -> str:
        """The text without any value learned so far, as text that can be written.

        Half of a surrogate pair, as in a file name that is no UTF-8, is shown as its escape.
        """
        for spelling in sorted(self._spellings, key=len, reverse=True):
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text if text.isascii() else text.encode(errors="backslashreplace").decode()

    def clean(self, tree: Any) -> Any:
        """The JSON-like tree with every string in it redacted."""
        if isinstance(tree, str):
            return self(tree)
        if isinstance(tree, Mapping):
            return {self(key): self.clean(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self.clean(value) for value in tree]
        return tree

    def _learn_value(self, value: Any) -> None:
        if isinstance(value, Secret):
            self.learn(value)
        elif isinstance(value, dict):
            for entry in value.values():
                self._learn_value(entry)
        elif isinstance(value, list | tuple):
            for entry in value:
                self._learn_value(entry)
        elif value is not None and not isinstance(value, bool):
            text = str(value)
            if len(text) >= SHORTEST:
                self._spellings.update(_spellings(text))


def clean_failure(failure: Failure, redact: Redactor) -> Failure:
    """The failure with known secrets taken out of its words."""
    return replace(failure, message=redact(failure.message), hint=redact(failure.hint))


def _spellings(text: str) -> Iterable[str]:
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield quote(text, safe="")
    yield quote_plus(text)
    yield repr(text)[1:-1]
    raw = text.encode("utf-8", "surrogatepass")
    for line in text.splitlines():
        if len(line) >= SHORTEST * 2:
            yield line
    for offset in range(3):
        # Only the characters that depend on the value alone, whatever stands around it.
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        start, end = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        if end - start >= SHORTEST * 2:
            yield encoded[start:end]
            yield encoded[start:end].replace("+", "-").replace("/", "_")


def mark_secrets(outputs: Mapping[str, Any], secrets: Iterable[Secret]) -> dict[str, Any]:
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
