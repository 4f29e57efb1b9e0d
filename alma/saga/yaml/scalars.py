"""What a scalar means: where YAML 1.1 and 1.2 agree, that; where they do not, it is refused.

`no` is false to one reader and a text to another, `0755` is 493 or 755, `12:30` is 750 or a text.
Who means the text writes it in quotes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from alma.core.secret import Secret
from alma.saga.yaml.nodes import Node, Scalar, Source

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_WORDS: Final = re.compile(r"yes|Yes|YES|on|On|ON|no|No|NO|off|Off|OFF")
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_NUMBER: Final = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
_OTHER: Final = re.compile(
    r"[-+]?0[0-7_]+|[-+]?0[0-9]+|0o[0-7]+|[-+]?0b[01_]+|[-+]0x[0-9a-fA-F_]+|0x[0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_LONGEST: Final = 4000
"""Digits of a number."""
_SHOWN: Final = 60


def is_text(node: Node) -> bool:
    """Whether it is written as a text: in quotes, or as a block."""
    return isinstance(node, Scalar) and node.style is not None


def is_plain_text(text: str) -> bool:
    """Whether it is that text without quotes, too, as far as numbers and words go."""
    return not (
        text in _NULL | _TRUE | _FALSE
        or any(one.fullmatch(text) for one in (_WORDS, _WHOLE, _HEX, _NUMBER, _OTHER))
    )


def scalar(source: Source, node: Scalar) -> Any:
    """None, a boolean, a number or a text."""
    word: str = node.value
    if is_text(node):
        return word
    if word in _NULL:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if len(word) > _LONGEST and word.lstrip("+-").isdigit():
        raise source.error(node, "the number has too many digits.")
    if _WHOLE.fullmatch(word):
        return int(word)
    if _HEX.fullmatch(word):
        return int(word, 16)
    if _NUMBER.fullmatch(word):
        return float(word)
    if _WORDS.fullmatch(word):
        meant = "true" if word.lower() in ("yes", "on") else "false"
        raise source.error(
            node,
            f"{word} is {meant} to some readers of YAML, and a text to others.",
            f'Write {meant}, or the text in quotes: "{word}".',
        )
    if len(word) <= _LONGEST and _OTHER.fullmatch(word):
        raise source.error(
            node,
            f"{word} is a number to some readers of YAML, and to others another one, or a text.",
            f'Write it as a plain decimal number, or the text in quotes: "{word}".',
        )
    return word


def key_of(source: Source, node: Node) -> str:
    """The key of a mapping: a text."""
    if not isinstance(node, Scalar):
        raise source.error(node, "a key is a text, no list and no mapping.")
    found = scalar(source, node)
    if not isinstance(found, str):
        raise source.error(
            node,
            f"a key is a text, and here it is {spoken(found)}.",
            f'Write it in quotes: "{node.value}".',
        )
    return found


def spoken(value: Any) -> str:
    """What it is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= _SHOWN else f"the text {value[:_SHOWN]!r}…"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return "a secret" if isinstance(value, Secret) else "an output of a step"
