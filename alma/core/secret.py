"""Secret values: a wrapper that never prints, and masking of trees that hold one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MASK: Final = "[secret]"
"""What a secret looks like in the journal, in reports and in `--json`."""


class Secret:
    """A value that must not be seen: its `repr` and `str` are `[secret]`.

    Use it for secret config (`config={"token": Secret("...")}`) and for secret results of an
    action (`return {"password": Secret(...)}`). `value` gives the content; it raises
    `LookupError` for a secret output that was read from a stack's state but not decrypted.
    """

    __slots__ = ("_revealed", "_value")

    def __init__(self, value: Any) -> None:
        self._value = value
        self._revealed = True

    @classmethod
    def sealed(cls) -> Secret:
        """A secret whose content is only known as ciphertext in a stack's state."""
        secret = cls(None)
        secret._revealed = False
        return secret

    @property
    def is_sealed(self) -> bool:
        """Whether the content is not known in this process."""
        return not self._revealed

    @property
    def value(self) -> Any:
        """The content; JSON-like. Raises `LookupError` when it is sealed."""
        if not self._revealed:
            raise LookupError("this secret was not decrypted: no step of the run consumed it")
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._revealed, self._value) == (other._revealed, other._value)

    __hash__ = None  # type: ignore[assignment]


def mask(tree: Any) -> Any:
    """The tree with every `Secret` in it replaced by `[secret]`."""
    if isinstance(tree, Secret):
        return MASK
    if isinstance(tree, Mapping):
        return {key: mask(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [mask(value) for value in tree]
    return tree


def unwrap(tree: Any) -> Any:
    """The tree with every `Secret` in it replaced by its content; `LookupError` if sealed."""
    if isinstance(tree, Secret):
        return unwrap(tree.value)
    if isinstance(tree, Mapping):
        return {key: unwrap(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [unwrap(value) for value in tree]
    return tree


def secrets_in(tree: Any) -> Iterator[Secret]:
    """Every `Secret` in the tree, at any depth."""
    if isinstance(tree, Secret):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from secrets_in(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from secrets_in(value)
