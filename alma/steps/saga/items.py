"""What a step that is a saga is made for: one, or one for each item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from alma.core.validation import check_name
from alma.errors import DefinitionError

EACH: Final = "for_each"
"""Among the inputs: the items, where another step gives them."""


def require_saga(where: str, saga: Any) -> None:
    """Refuse what is none."""
    if not all(hasattr(saga, name) for name in ("definition", "target", "steps")):
        raise DefinitionError(
            f"{where}: {saga!r} is no Saga.",
            hint="Give a Saga, or with for_each a function that takes an item and returns one.",
        )
    saga.definition()


def items_of(where: str, items: Any) -> tuple[str, ...]:
    """As names, each once. Raises DefinitionError."""
    if isinstance(items, Mapping):
        items = list(items)
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise DefinitionError(f"{where}: for_each takes a list of names, not {items!r}.")
    named = tuple(check_name("saga for each item", str(item)) for item in items)
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise DefinitionError(f'{where}: for_each has "{twice}" twice.')
    return named
