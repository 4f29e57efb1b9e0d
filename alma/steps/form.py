"""How a step is written in YAML: its keys, and what may stand at each. Data, read by others.

A kind has its `Form` beside its class. `alma.saga.yaml` reads a file by it and makes the published
JSON Schema of it, so that the two cannot part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from msgspec import Struct, field

from alma.core.definition import Retry

IMPORTED: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_.]*$"
"""Of `module:function`."""


class Text(Struct, frozen=True, kw_only=True):
    """A text: any, one of the `choices`, or one in which the `pattern` is found."""

    choices: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def words(self) -> str:
        """What has to be given, as every shape says it."""
        several = "one of " if self.choices[1:] else ""
        return f"{several}{', '.join(self.choices)}" if self.choices else "a text"

    def fits(self, value: Any) -> bool:
        """Whether a value is one, as every shape says it."""
        if not isinstance(value, str) or (self.choices and value not in self.choices):
            return False
        return re.search(self.pattern, value) is not None


class Whole(Struct, frozen=True):
    """A whole number."""

    words: ClassVar[str] = "a whole number"

    def fits(self, value: Any) -> bool:
        """No boolean."""
        return type(value) is int


class Number(Struct, frozen=True):
    """A number."""

    words: ClassVar[str] = "a number"

    def fits(self, value: Any) -> bool:
        """No boolean."""
        return type(value) in (int, float)


class Flag(Struct, frozen=True):
    """true or false."""

    words: ClassVar[str] = "true or false"

    def fits(self, value: Any) -> bool:
        """Nothing that only counts as true."""
        return isinstance(value, bool)


class Place(Struct, frozen=True):
    """A path, or a glob; a relative one is meant from the file's directory."""

    words: ClassVar[str] = "a path"

    def fits(self, value: Any) -> bool:
        """Not an empty one, which would be the directory itself."""
        return isinstance(value, str) and value != ""


class Named(Struct, frozen=True):
    """A function by where Python imports it from, `module:function`: see `ByPath`."""

    words: ClassVar[str] = "a function, written module:function"

    def fits(self, value: Any) -> bool:
        """As it is written."""
        return isinstance(value, str) and re.search(IMPORTED, value) is not None


class StepName(Struct, frozen=True):
    """The name of a step of the saga."""

    words: ClassVar[str] = "the name of a step"

    def fits(self, value: Any) -> bool:
        """Which names there are, its reader knows."""
        return isinstance(value, str) and value != ""


class Anything(Struct, frozen=True):
    """Any value: JSON and secrets."""

    words: ClassVar[str] = "a value"

    def fits(self, value: Any) -> bool:  # noqa: ARG002
        """It is."""
        return True


class Values(Struct, frozen=True, kw_only=True):
    """Names, each with any value; with `outputs` a value may be an output of another step."""

    words: ClassVar[str] = "a mapping"
    outputs: bool = False

    def fits(self, value: Any) -> bool:
        """What is in it may be anything."""
        return isinstance(value, dict)


class Several(Struct, frozen=True):
    """A list; with `outputs` an output of another step may stand in its place."""

    words: ClassVar[str] = "a list"
    of: Shape
    outputs: bool = False

    def fits(self, value: Any) -> bool:
        """With each of its entries."""
        return isinstance(value, list) and all(map(self.of.fits, value))


class Either(Struct, frozen=True):
    """One of these, told apart by what is written."""

    of: tuple[Shape, ...]

    @property
    def words(self) -> str:
        """Of all of them."""
        return " or ".join(one.words for one in self.of)

    def fits(self, value: Any) -> bool:
        """Of any of them."""
        return any(one.fits(value) for one in self.of)


class Record(Struct, frozen=True, kw_only=True):
    """A mapping with keys of its own, and the Python object that `make` makes of it."""

    words: ClassVar[str] = "a mapping"
    title: str
    keys: Mapping[str, Key]
    make: Callable[..., Any]

    def fits(self, value: Any) -> bool:  # noqa: ARG002
        """No plain value: it is written out in the file."""
        return False


Shape = (
    Text
    | Whole
    | Number
    | Flag
    | Place
    | Named
    | StepName
    | Anything
    | Values
    | Several
    | Either
    | Record
)


class Key(Struct, frozen=True):
    """One key: what may stand there, and what an editor says of it.

    `argument` is what Python calls it, where that is another word. `otherwise` is what is read
    where the key is left out.
    """

    shape: Shape
    about: str
    required: bool = False
    argument: str = ""
    otherwise: str = ""


class Form(Struct, frozen=True, kw_only=True):
    """How steps of one kind are written: `add` is the method of `Saga` that adds them.

    `keys` are what they have beside those of every step, or beside the `common` ones that such a
    step knows; of `one_of` exactly one is given.
    """

    add: str
    about: str
    keys: Mapping[str, Key] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    common: tuple[str, ...] = ()


RETRY: Final = Record(
    title="retry",
    make=Retry,
    keys={
        "attempts": Key(Whole(), "How often it is tried, the first time counted."),
        "delay": Key(Number(), "Seconds before the second attempt."),
        "factor": Key(Number(), "By which each further wait is longer."),
        "max_delay": Key(Number(), "Seconds that no wait is longer than."),
    },
)

COMMON: Final[Mapping[str, Key]] = {
    "inputs": Key(
        Values(outputs=True),
        "Values for the step. `${step.output}` is an output of another step, which it then waits "
        "for.",
    ),
    "depends_on": Key(
        Several(StepName()),
        "Steps to wait for, beside those whose outputs are inputs. With neither, a step follows "
        "the one before it; an empty list starts at once.",
        argument="after",
    ),
    "retry": Key(RETRY, "How often the step is tried."),
    "compensation_retry": Key(RETRY, "How often its undo is tried."),
    "timeout": Key(Number(), "Seconds for each attempt."),
    "compensation_timeout": Key(Number(), "Seconds for each attempt of its undo."),
    "pivot": Key(
        Flag(), "The point of no return: once it has completed, the run only goes forward."
    ),
    "watch": Key(
        Several(Place()),
        "Files, directories and globs that the step is made of as well, for `up --changed`.",
    ),
    "queue": Key(
        Text(), "The task queue of the workers that do it, where Temporal drives the run."
    ),
}
"""Of every kind of step."""
