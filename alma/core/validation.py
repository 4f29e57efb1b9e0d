"""What may pass: names to a command line, a file or a stack; values to config and the journal."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from alma.core.secret import MASK, Secret, mask, secrets_in
from alma.errors import DefinitionError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""Narrower than Pulumi's own rule: a leading dash would be read as a flag, dots as a path."""

_SHOWN: Final = 60
"""Characters of a refused name that a message repeats."""

_CONFIG_KEY: Final = re.compile(r"(?:[A-Za-z0-9_.-]+:)?[A-Za-z_][A-Za-z0-9_.-]{0,99}")

DEEPEST: Final = 100
"""Levels of lists and objects in a value: what walks over it must come to its end."""

LARGEST: Final = 64 * 1024
"""Bytes of JSON up to which one output is journaled whole; of a larger one a digest is kept."""

_LONGEST_NUMBER: Final = 14_000
"""Bits of an integer: some fewer than the 4300 digits of `sys.set_int_max_str_digits`."""

DIGEST_KEY: Final = "alma:sha256"


def check_name(what: str, name: object) -> str:
    """The name itself, if it may be used; `what` says whose name it is.

    Raises DefinitionError for anything but 1 to 100 ASCII letters, digits, `_`, `.` and `-`
    that start with a letter or digit.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        shown = repr(name)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        raise DefinitionError(
            f"{shown} cannot be the name of a {what}.",
            hint="Use 1 to 100 letters, digits, '_', '.' or '-', a letter or digit at first.",
        )
    return str.__str__(name)


def check_key(where: str, key: object) -> str:
    """A config key, with or without a namespace (`aws:region`)."""
    if not isinstance(key, str) or not _CONFIG_KEY.fullmatch(key):
        raise DefinitionError(
            f"{where}: {key!r} cannot be a config key.",
            hint="Use letters, digits, '_', '.' and '-', with at most one 'namespace:' before it.",
        )
    return str.__str__(key)


def plain_value(where: str, value: Any, *, null: bool = False) -> Any:
    """The value as plain JSON types, `Secret`s kept; `where` names the step and key.

    Of what is a string or a number by inheritance (an enum of strings, say) its value. Raises
    DefinitionError for what cannot travel to whoever is given it; `null` says whether None can.
    """
    return _plain(where, value, null=null, levels=DEEPEST)


def _plain(where: Where, value: Any, *, null: bool, levels: int) -> Any:
    if not levels:
        raise DefinitionError(
            f"{_dotted(where)}: the value is nested too deeply, or holds itself.",
            hint=f"At most {DEEPEST} levels of lists and objects can be passed on.",
        )
    if isinstance(value, Secret):
        if value.is_sealed:
            return value
        return Secret(_plain(where, value.value, null=null, levels=levels - 1))
    if isinstance(value, Mapping):
        return {
            _key(where, key): _plain((where, key), entry, null=null, levels=levels - 1)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _plain((where, index), entry, null=null, levels=levels - 1)
            for index, entry in enumerate(value)
        ]
    if isinstance(value, str):
        return _text(where, value)
    if isinstance(value, bool | int | float):
        return _number(where, value)
    if value is None and null:
        return None
    raise DefinitionError(
        f"{_dotted(where)}: a value of type {type(value).__name__} cannot be config.",
        hint="Use strings, numbers, booleans, lists and dicts of them, or Secret(...). An output "
        "of another step is one of its inputs: inputs={...}.",
    )


def _key(where: Where, key: object) -> str:
    if not isinstance(key, str):
        raise DefinitionError(f"{_dotted(where)}: the key {key!r} of an object must be a string.")
    return _text(where, key)


def _number(where: Where, value: float) -> Any:
    number = plain_number(value)
    if isinstance(number, float) and not math.isfinite(number):
        raise DefinitionError(f"{_dotted(where)}: {number} is not a number that JSON can hold.")
    if _is_endless(number):
        raise DefinitionError(f"{_dotted(where)}: the number has too many digits.")
    return number


Where = str | tuple[Any, str | int]
"""A place in a tree: the tree's name, or what is around it and its key there."""


def _parts(where: Where) -> tuple[str, list[str | int]]:
    keys: list[str | int] = []
    while not isinstance(where, str):
        where, key = where
        keys.append(key)
    return where, keys[::-1]


def _dotted(where: Where) -> str:
    tree, keys = _parts(where)
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return tree + _cut(place)


def _indexed(where: Where) -> str:
    tree, keys = _parts(where)
    return tree + _cut("".join(f"[{key!r}]" for key in keys))


def _cut(place: str) -> str:
    return place if len(place) <= _SHOWN else f"{place[:_SHOWN]}…"


def plain_number(value: float | None) -> Any:
    """A number without whatever has been made of its type."""
    if value is None or isinstance(value, bool):
        return value
    return int.__index__(value) if isinstance(value, int) else float.__float__(value)


def _is_endless(number: float | None) -> bool:
    """Whether Python itself would refuse to write it, or to read it again."""
    return isinstance(number, int) and int.bit_length(number) > _LONGEST_NUMBER


def _text(where: Where, value: str) -> str:
    text = str.__str__(value)
    if not is_unicode(text):
        raise DefinitionError(
            f"{_dotted(where)}: {text!r} holds half of a surrogate pair, which no UTF-8 has.",
            hint="A file name that is no UTF-8? Give its bytes as base64.",
        )
    return text


def is_unicode(text: str) -> bool:
    """Whether it can be written: Python also has texts that cannot (PEP 383)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_seconds(where: str, value: object) -> float | None:
    """A deadline in seconds (more than 0), or None for none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise DefinitionError(f"{where} must be a number of seconds above 0, not {value!r}.")
    return float(value)


def check_choice(where: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices."""
    if value not in choices:
        raise DefinitionError(f"{where} must be one of {', '.join(choices)}, not {value!r}.")


class NotJsonError(ValueError):
    """A value that JSON cannot hold; the message names where it is."""


def check_json(tree: Any, where: str = "the result") -> Any:
    """The tree as plain JSON types with `Secret`s kept; NotJsonError for anything else."""
    return _json(tree, where, DEEPEST)


def _json(tree: Any, where: Where, levels: int) -> Any:
    if not levels:
        raise NotJsonError(f"{_indexed(where)} is nested too deeply, or holds itself")
    if isinstance(tree, Secret):
        return tree if tree.is_sealed else Secret(_json(tree.value, where, levels - 1))
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str):
                raise NotJsonError(f"{_indexed(where)} has the key {key!r}, which is not a string")
        return {
            _leaf(key, where): _json(value, (where, key), levels - 1) for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [_json(value, (where, index), levels - 1) for index, value in enumerate(tree)]
    return _leaf(tree, where)


def _leaf(value: Any, where: Where) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise NotJsonError(f"{_indexed(where)} is {value}, which JSON cannot hold")
    if isinstance(value, str):
        if not is_unicode(value):
            raise NotJsonError(
                f"{_indexed(where)} holds half of a surrogate pair, which no UTF-8 has"
            )
        return str.__str__(value)
    if value is None or isinstance(value, bool | int | float):
        if _is_endless(value):
            raise NotJsonError(f"{_indexed(where)} is a number of too many digits")
        return plain_number(value)
    raise NotJsonError(
        f"{_indexed(where)} is of type {type(value).__name__}, which JSON cannot hold"
    )


def for_journal(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs masked, with a digest in place of each that is larger than `LARGEST`."""
    result = {}
    for name, value in outputs.items():
        text = json.dumps(mask(value), sort_keys=True)
        if len(text) > LARGEST:
            digest = hashlib.sha256(text.encode()).hexdigest()
            result[name] = {DIGEST_KEY: digest, "bytes": len(text)}
        else:
            result[name] = mask(value)
    return result


def is_whole(value: Any) -> bool:
    """Whether a value, live or from the journal, is all there: opened, unmasked, not digested."""
    if isinstance(value, Secret):
        return is_known(value)
    if isinstance(value, Mapping):
        return DIGEST_KEY not in value and all(is_whole(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return all(is_whole(entry) for entry in value)
    return not (isinstance(value, str) and MASK in value)


def is_known(value: Any) -> bool:
    """Whether no secret in a value is sealed, at any depth."""
    return not any(secret.is_sealed for secret in _all_secrets(value))


def _all_secrets(tree: Any) -> Iterator[Secret]:
    for secret in secrets_in(tree):
        yield secret
        if not secret.is_sealed:
            yield from _all_secrets(secret.value)


def needs_sealing(value: Any, kept: Any) -> bool:
    """Whether what the journal keeps of a value is less than what is known of it."""
    if isinstance(value, Secret):
        return not value.is_sealed
    if isinstance(value, Mapping) and isinstance(kept, Mapping):
        return value.keys() != kept.keys() or any(
            needs_sealing(entry, kept[key]) for key, entry in value.items()
        )
    if isinstance(value, list) and isinstance(kept, list) and len(value) == len(kept):
        return any(map(needs_sealing, value, kept))
    return value != kept or not is_whole(value)


def unknown_as_secret(kept: Any) -> Any:
    """What the journal keeps of a value, with a sealed `Secret` for whatever it only masks."""
    if isinstance(kept, Mapping) and DIGEST_KEY not in kept:
        return {key: unknown_as_secret(value) for key, value in kept.items()}
    if isinstance(kept, list):
        return [unknown_as_secret(value) for value in kept]
    return kept if is_whole(kept) else Secret.sealed()


def as_marked(value: Any, kept: Any) -> Any:
    """A value that was read again: what the journal only masks of it is a secret."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, Mapping) and isinstance(kept, Mapping):
        return {key: as_marked(entry, kept.get(key)) for key, entry in value.items()}
    if isinstance(value, list) and isinstance(kept, list) and len(value) == len(kept):
        return [as_marked(one, other) for one, other in zip(value, kept, strict=True)]
    return Secret(value) if kept == MASK else value
