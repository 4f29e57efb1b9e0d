"""Taking known secret values out of text before it is journaled, logged or shown.

Outputs that hold a known secret as plain text are marked: they are secret as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from alma.core.events import Failure
from alma.core.secret import MASK, Secret, secrets_in
from alma.core.spellings import SHORTEST, scalars_in, spellings

LONGEST: Final = 16 * 1024
"""Characters of a message or a reason that are looked at, and kept."""
_FEW: Final = 500
"""Spellings up to which it is faster to ask for each of them first."""

# Of bounded lengths: a hostile text must not make them look at each part of it again and again.
_USER_INFO: Final = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s/?#:@]{0,300}):[^\s/?#@]+@", re.IGNORECASE
)
_TELLING_KEYS: Final = re.compile(
    r"([?&][\w.-]{0,60}?"
    r"(?:pass|secret|token|signature|\bsig|access_?key|credential)[\w.-]{0,60}=)[^&\s#\"']+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """The text with passwords and keys in its URLs masked."""
    return _TELLING_KEYS.sub(rf"\1{MASK}", _USER_INFO.sub(rf"\1:{MASK}@", text))


def credentials_masked(tree: Any) -> Any:
    """The JSON-like tree with passwords and keys in its URLs masked."""
    if isinstance(tree, str):
        return without_credentials(tree)
    if isinstance(tree, Mapping):
        return {key: credentials_masked(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [credentials_masked(value) for value in tree]
    return tree


def shortened(text: str) -> str:
    """Of a long text the beginning, up to a blank: half a word could be half a secret."""
    if len(text) <= LONGEST:
        return text
    head = text[:LONGEST]
    end = max(head.rfind(" "), head.rfind("\n"), 0)
    return f"{head[:end]}… ({len(text)} characters)"


class Redactor:
    """Remembers secret values and replaces them, in every usual spelling, by `[secret]`.

    The spellings are those of `alma.core.spellings`. Of a secret that is a JSON document, or a
    list or an object, each value in it is a secret too. What it takes grows with the text, not
    with how many are known.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lengths: dict[str, list[int]] = {}
        """By its first characters, how long a spelling can be; the longest first."""

    def learn(self, tree: Any) -> None:
        """Remember every opened `Secret` in the tree, and the values inside it."""
        new = {text for value in scalars_in(secrets_in(tree)) for text in spellings(value)}
        new = {text for text in new if len(text) >= SHORTEST} - self._known
        if not new:
            return
        if not self._known:
            new.add(MASK)  # What is masked already is not looked into.
        self._known |= new
        found: dict[str, set[int]] = {}
        for text in new:
            start = text[:SHORTEST]
            found.setdefault(start, set(self._lengths.get(start, ()))).add(len(text))
        self._lengths |= {start: sorted(found[start], reverse=True) for start in found}

    def __call__(self, text: str) -> str:
        """The text without any value learned so far, as text that can be written.

        Nor with passwords and keys in its URLs: tools name what they cannot reach by all of that.
        """
        text = self._value(text)
        return without_credentials(text) if "://" in text else text

    def _value(self, text: str) -> str:
        """What a step hands out is what it is: a URL is no secret by its form.

        Half of a surrogate pair, as in a file name that is no UTF-8, is shown as its escape.
        """
        if len(self._known) > _FEW or any(known in text for known in self._known):
            text = self._masked(text)
        return text if text.isascii() else text.encode(errors="backslashreplace").decode()

    def _masked(self, text: str) -> str:
        """In one pass, the longest first."""
        parts: list[str] = []
        kept = place = 0
        while place < len(text):
            for length in self._lengths.get(text[place : place + SHORTEST], ()):
                if text[place : place + length] in self._known:
                    parts += (text[kept:place], MASK)
                    place = kept = place + length
                    break
            else:
                place += 1
        return "".join((*parts, text[kept:]))

    def clean(self, tree: Any) -> Any:
        """The JSON-like tree with every text in it redacted, and every number that is secret."""
        if isinstance(tree, str):
            return self._value(tree)
        if isinstance(tree, Mapping):
            return {self._value(key): self.clean(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return [self.clean(value) for value in tree]
        if isinstance(tree, int | float) and not isinstance(tree, bool):
            return MASK if str(tree) in self._known else tree
        return tree


def clean_failure(failure: Failure, redact: Redactor) -> Failure:
    """The failure with known secrets taken out of its words."""
    return replace(failure, message=redact(failure.message), hint=redact(failure.hint))


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
