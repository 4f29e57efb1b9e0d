"""The keys of a mapping: each once, and those that are merged into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from alma.saga.yaml.nodes import Mapping, Node, Scalar, Sequence, Source
from alma.saga.yaml.scalars import key_of

MERGE: Final = "<<"


def entries(source: Source, node: Mapping, level: int = 0) -> dict[str, tuple[Node, Node]]:
    """By key, the nodes of key and value; merged (`<<`) are those that it has not itself."""
    own: dict[str, tuple[Node, Node]] = {}
    merged: dict[str, tuple[Node, Node]] = {}
    for key_node, value in node.value:
        if _is_merge(key_node):
            for key, pair in _merged(source, value, level):
                merged.setdefault(key, pair)
            continue
        key = key_of(source, key_node)
        if key in own:
            line = own[key][0].start_mark.line + 1
            raise source.error(key_node, f"{key} is given twice, in line {line} as well.")
        own[key] = (key_node, value)
    return {**own, **{key: pair for key, pair in merged.items() if key not in own}}


def _is_merge(node: Node) -> bool:
    return isinstance(node, Scalar) and node.style is None and node.value == MERGE


def _merged(source: Source, node: Node, level: int) -> Iterable[tuple[str, tuple[Node, Node]]]:
    for one in node.value if isinstance(node, Sequence) else [node]:
        source.count(one, level + 1)
        if not isinstance(one, Mapping):
            raise source.error(one, "<< takes a mapping, or a list of mappings.")
        yield from entries(source, one, level + 1).items()
