"""The usual ways to write one value: how a known secret may stand in somebody else's words."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, quote_plus

from alma.core.secret import Secret

SHORTEST: Final = 3
"""Shorter values are left alone: replacing every "1" would make a text unreadable."""
_TELLING: Final = 2 * SHORTEST
"""Characters from which on a part of a value, or an encoding of it, says something by itself."""
_NO_WORD: Final = 8
"""Characters from which on a value is looked for in another case: `Test` would hide each test."""


def scalars_in(tree: Any) -> Iterator[Any]:
    """Every text and number in what is open, however deep, in JSON documents too."""
    waiting = [tree]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, Secret):
            if not tree.is_sealed:
                waiting.append(tree.value)
        elif isinstance(tree, Mapping):
            waiting.extend(tree.values())
        elif isinstance(tree, Iterable) and not isinstance(tree, str | bytes):
            waiting.extend(tree)
        elif isinstance(tree, str) and tree:
            yield tree
            waiting.extend(_within(tree))
        elif isinstance(tree, int | float) and not isinstance(tree, bool):
            yield tree


def _within(text: str) -> Iterator[Any]:
    if (stripped := text.strip()) and stripped != text:
        yield stripped
    elif text[0] in "{[":
        with suppress(ValueError, RecursionError):
            yield json.loads(text)


def spellings(value: Any) -> Iterator[str]:
    """The value's text as it is, escaped, encoded, and line by line; none of a short one."""
    try:
        text = str(value)
    except ValueError:  # an integer of more digits than Python writes: then nobody has it as text
        return
    if len(text) < SHORTEST:
        return
    yield text
    if not isinstance(value, str):
        return
    if len(text) >= _NO_WORD:  # names of hosts, buckets and headers know no case
        yield text.lower()
        yield text.upper()
    if not (text.isascii() and text.isalnum()):
        yield from _escaped(text)
    for line in text.splitlines():
        if len(line) >= _TELLING:
            yield line
    yield from _as_bytes(text.encode("utf-8", "surrogatepass"))


def _escaped(text: str) -> Iterator[str]:
    yield repr(text)[1:-1]
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield _as_go(escaped)
    for safe in ("", "/"):
        quoted = quote(text, safe=safe, errors="surrogatepass")
        yield quoted
        yield re.sub("%..", lambda found: found[0].lower(), quoted)
    yield quote_plus(text, errors="surrogatepass")
    marked = html.escape(text)
    yield marked
    yield marked.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")  # as Go has it
    yield html.escape(text, quote=False)


def _as_go(escaped: str) -> str:
    """As Go's encoding/json writes it: fit for HTML."""
    for sign in "&<>":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return escaped


def _as_bytes(raw: bytes) -> Iterator[str]:
    if 2 * len(raw) >= _TELLING:
        yield raw.hex()
        yield raw.hex().upper()
    for offset in range(3):
        # Only the characters that depend on the value alone, whatever stands around it.
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        start, end = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        if end - start >= _TELLING:
            yield encoded[start:end]
            yield encoded[start:end].replace("+", "-").replace("/", "_")
