"""Dataclasses whose methods are inherited: `Frozen` for values, `Struct` for what changes.

`@dataclass(frozen=True)` writes the source of six methods for each class and compiles it, a third
of a millisecond every time. The events alone are two dozen classes: that was a fifth of what
`alma-pulumi status` took.

The subclasses are dataclasses to everybody else: `fields`, `replace`, `asdict`, `copy` and
`pickle` take them. Arguments are given by name. `__post_init__`, `InitVar` and `slots` are not
supported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, Never, dataclass_transform

__all__ = ["Frozen", "Struct", "field"]


class _Fields:  # noqa: PLW1641 - what changes has no hash; Frozen has one
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    _defaults: ClassVar[dict[str, Any]]
    """Every field in its order, with `MISSING` where it has no value of its own to begin with."""
    _factories: ClassVar[dict[str, Callable[[], Any]]]
    _required: ClassVar[frozenset[str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
        cls._defaults = {each.name: each.default for each in fields(cls)}
        makers = {each.name: each.default_factory for each in fields(cls)}
        cls._factories = {name: make for name, make in makers.items() if make is not MISSING}
        missing = (name for name, default in cls._defaults.items() if default is MISSING)
        cls._required = frozenset(missing) - cls._factories.keys()

    def __init__(self, **values: Any) -> None:
        given = {**self._defaults, **values}
        for name, make in self._factories.items():
            if name not in values:
                given[name] = make()
        if len(given) != len(self._defaults) or not self._required <= values.keys():
            unknown, absent = given.keys() - self._defaults, self._required - values.keys()
            what = f"does not know {sorted(unknown)}" if unknown else f"needs {sorted(absent)}"
            raise TypeError(f"{type(self).__name__}() {what}")
        # One by one, and not by `__dict__`, which is made when it is first asked for: a journal
        # of 100,000 events took twice as long to fold.
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if type(other) is type(self) else NotImplemented

    def _key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, each.name) for each in fields(self) if each.compare)

    def __repr__(self) -> str:
        shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Struct(_Fields):
    """What `@dataclass(kw_only=True)` would make of its subclasses."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Frozen(_Fields):
    """What `@dataclass(frozen=True, kw_only=True)` would make of its subclasses."""

    def __hash__(self) -> int:
        return hash(self._key())

    def __setattr__(self, name: str, _value: object) -> Never:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> Never:
        raise FrozenInstanceError(f"cannot delete field {name!r}")
