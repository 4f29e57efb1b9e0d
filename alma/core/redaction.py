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

    Spellings: plain, stripped, JSON-escaped, URL-quoted, base64 (standard and URL-safe, at each of
    the three alignments inside a longer encoded text). Of a secret that is a JSON document, or a
    list or an object, each value in it is a secret too.
    """

    def __init__(self) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, tree: Any) -> None:
        """Remember every opened `Secret` in the tree, and the values inside it."""
        for value in scalars_in(secrets_in(tree)):
            text = str(value)
            if len(text) >= SHORTEST:
                self._spellings.update(_spellings(text))
        self._pattern = None

    def __call__(self, text: str) -> str:
        """The text without any value learned so far, as text that can be written.

        Half of a surrogate pair, as in a file name that is no UTF-8, is shown as its escape.
        """
        if any(spelling in text for spelling in self._spellings):
            if self._pattern is None:
                # In one pass, the longest first; what is masked already is not looked into.
                spellings = sorted(self._spellings, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, (MASK, *spellings))))
            text = self._pattern.sub(MASK, text)
        return text if text.isascii() else text.encode(errors="backslashreplace").decode()

    def clean(self, tree: Any) -> Any:
        """The JSON-like tree with every text in it redacted, and every number that is secret."""
        if isinstance(tree, str):
            return self(tree)
        if isinstance(tree, Mapping):
            return {self(key): self.clean(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self.clean(value) for value in tree]
        if isinstance(tree, int | float) and not isinstance(tree, bool):
            return MASK if str(tree) in self._spellings else tree
        return tree


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
    """Outputs in which whatever is or holds a known secret value is a secret itself.

    A program can read a secret input as plain text and hand it out: nobody marks it then, but it
    must not be seen.
    """
    known = list(secrets)
    texts = {value for value in scalars_in(known) if isinstance(value, str)}
    redact = Redactor()
    redact.learn(known)

    def mark(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {key: mark(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [mark(value) for value in tree]
        if isinstance(tree, Secret):
            return tree
        return Secret(tree) if tree in texts or redact.clean(tree) != tree else tree

    return {key: mark(value) for key, value in outputs.items()}


def scalars_in(tree: Any) -> Iterator[Any]:
    """Every text and number in what is open, however deep, in JSON documents too."""
    if isinstance(tree, Secret):
        yield from () if tree.is_sealed else scalars_in(tree.value)
    elif isinstance(tree, Mapping):
        yield from (found for value in tree.values() for found in scalars_in(value))
    elif isinstance(tree, Iterable) and not isinstance(tree, str | bytes):
        yield from (found for value in tree for found in scalars_in(value))
    elif isinstance(tree, str) and tree:
        yield tree
        if (stripped := tree.strip()) and stripped != tree:
            yield stripped
        if tree.lstrip()[:1] in ("{", "["):
            try:
                document = json.loads(tree)
            except (ValueError, RecursionError):
                return
            yield from scalars_in(document)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield tree
