"""A YAML file as nodes that know their line and column. Bounded, and without surprises.

The parser is PyYAML's; what a scalar means is decided in `alma.saga.yaml.scalars`, and tags, which
could make anything of it, are refused.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct

from alma.errors import DefinitionError
from alma.saga.elsewhere import words

LARGEST: Final = 1024 * 1024
"""Bytes of a file."""
MOST: Final = 100_000
"""Values that are read of a file, an alias counted each time: a few lines could be billions."""
DEEPEST: Final = 100
"""Levels of lists and mappings."""

_HINTS: Final = {
    "'\\t'": "Lines are indented by blanks, not by tabs.",
    "got '{'": 'Within {...} and [...] a reference stands in quotes: "${step.output}".',
    "'@'": "A text that begins with @ stands in quotes.",
    "'`'": "A text that begins with ` stands in quotes.",
    "mapping values are not allowed": "A text that holds a colon and a blank stands in quotes.",
}
"""By a part of the parser's words."""

Node = yaml.Node
Mapping = yaml.MappingNode
Sequence = yaml.SequenceNode
Scalar = yaml.ScalarNode


class Source(Struct, kw_only=True):
    """The file: `name` as the user wrote it, for errors. `read` counts its values."""

    name: str
    directory: Path
    read: int = 0

    def error(self, node: Node | yaml.Mark, message: str, hint: str = "") -> DefinitionError:
        """One sentence, with line and column."""
        mark = node if isinstance(node, yaml.Mark) else node.start_mark
        return DefinitionError(f"{self.at(mark)}: {message}", hint=hint)

    def at(self, mark: yaml.Mark, over: int = 0) -> str:
        """The place, as an error begins; `over` is how many characters after the mark."""
        return f"{self.name}, line {mark.line + 1}, column {mark.column + 1 + over}"

    def count(self, node: Node, level: int) -> None:
        """Refuse what has no end: aliases of aliases, and one that holds itself."""
        self.read += 1
        if self.read > MOST:
            raise self.error(node, f"the file has more than {MOST} values, its aliases counted.")
        if level > DEEPEST:
            raise self.error(
                node, f"it is nested more than {DEEPEST} levels deep, or holds itself."
            )


def read_source(where: str, path: Path) -> bytes:
    """The file's bytes; DefinitionError for what is no file of a sensible size."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise DefinitionError(
                f"{where} is a directory.", hint=f"Give the file: {path.name}/saga.yaml"
            )
        if not stat.S_ISREG(about.st_mode):
            raise DefinitionError(f"{where} is not a regular file.")
        if about.st_size > LARGEST:
            raise DefinitionError(f"{where} is larger than {LARGEST // 1024} KiB: it is no saga.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DefinitionError(
            f"There is no file {where}.", hint="`alma-pulumi init` writes a first one."
        ) from error
    except OSError as error:
        raise DefinitionError(f"{where} cannot be read: {words(error)}.") from error


def compose(source: Source, content: bytes) -> Mapping:
    """The one document of a file, a mapping. DefinitionError, with its place, for anything else."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DefinitionError(f"{source.name}, line {line}: it is no UTF-8 text.") from error
    try:
        node = _Composer(text, source).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = [part for part in (error.context, error.problem) if part]
        problem = " ".join(", ".join(told).split())
        hint = next((hint for part, hint in _HINTS.items() if part in problem), "")
        if mark is None:
            raise DefinitionError(f"{source.name}: no YAML: {problem}.", hint=hint) from error
        raise source.error(mark, f"no YAML: {problem}.", hint) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        character = f"the character {error.character!r}"
        raise DefinitionError(f"{source.name}, line {line}: no YAML: {character}.") from error
    except RecursionError as error:
        raise DefinitionError(f"{source.name} is nested too deeply.") from error
    if node is None:
        raise DefinitionError(f"{source.name} is empty.", hint="A saga has a name and steps.")
    if not isinstance(node, Mapping):
        raise source.error(node, "a saga is a mapping, with the keys name and steps.")
    return node


class _Composer(yaml.BaseLoader):
    """Each scalar is its text; a tag is refused."""

    def __init__(self, text: str, source: Source) -> None:
        super().__init__(text)
        self._source = source

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """As it does, but for tags."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if tag := getattr(event, "tag", None):
            raise self._source.error(
                event.start_mark,
                f"the tag {tag} is not used in a saga.",
                "A text stands in quotes, a secret is written {secret: ...}.",
            )
        node: Node | None = super().compose_node(parent, index)
        return node


def nearest(word: str, words_: Iterable[str]) -> str:
    """A hint: the one that is probably meant, else all of them."""
    known = list(words_)
    close = get_close_matches(word, known, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"There is: {', '.join(known)}." if known else "There is none."
