"""Which projects a project's program refers to, as far as that can be read without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from alma.saga.yaml.projects import FILES, Project, load, text_of

_SOURCES: Final = (
    *(".py", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"),
    *(".go", ".cs", ".fs", ".vb", ".java", ".kt", ".scala"),
)
_CALL: Final = re.compile(r"StackReference\b")
_LITERAL: Final = re.compile(r"\"([^\"\n]{1,300})\"|'([^'\n]{1,300})'|`([^`]{1,300})`")
_WINDOW: Final = 300
"""Characters after the word in which its name stands, whatever the language."""
_MAIN: Final = ("Main.yaml", "Main.yml", "Main.json")
_TYPE: Final = "pulumi:pulumi:StackReference"


class StackReference(Struct, frozen=True):
    """To a stack of `project`. `found` says where it stands, and how that is known."""

    project: str
    said: str
    found: str


def references_of(
    project: Project, directory: Path, known: Mapping[str, Project]
) -> Iterator[StackReference]:
    """To other projects that are `known`; each once for a place."""
    names = [name for name in known if name != project.name]
    for said, found in (*_in_yaml(project, directory), *_in_settings(project)):
        if other := _project_in(said, names):
            yield StackReference(other, said, found)
    for file in project.files:
        if file.suffix in _SOURCES:
            yield from _in_text(file, directory, names)


def _in_yaml(project: Project, directory: Path) -> Iterator[tuple[str, str]]:
    """Of a program in YAML: in the project's file, or beside it."""
    if _runtime(project.document) != "yaml":
        return
    folder = directory / project.where
    main = folder / str(project.document.get("main") or "")
    documents = {project.where / FILES[0]: project.document}
    for name in _MAIN:
        if (main / name).is_file():
            try:
                documents[project.where / name] = load(main / name)
            except ValueError:
                continue
    for file, document in documents.items():
        for said in _walk(document, "", set()):
            yield said, f"StackReference in {file}"


def _runtime(document: Any) -> str:
    runtime = document.get("runtime")
    return str((runtime.get("name") if isinstance(runtime, dict) else runtime) or "")


def _walk(tree: Any, name: str, seen: set[int]) -> Iterator[str]:
    """The stacks that are referred to; `name` is the key that the tree stands at."""
    if not isinstance(tree, list | dict) or id(tree) in seen:
        return  # an alias is the same object: each is looked at once
    seen.add(id(tree))
    if isinstance(tree, list):
        for one in tree:
            yield from _walk(one, "", seen)
        return
    if tree.get("type") == _TYPE:
        properties = tree.get("properties")
        given = properties.get("name") if isinstance(properties, dict) else None
        yield str(given or name)
    for key, value in tree.items():
        if str(key).lower() == "fn::stackreference":
            said = value[0] if isinstance(value, list) and value else value
            yield str(said.get("name", "") if isinstance(said, dict) else said)
        yield from _walk(value, str(key), seen)


def _in_settings(project: Project) -> Iterator[tuple[str, str]]:
    """Config that has the form of a stack's name: a program gives it to a StackReference."""
    for file, document in project.settings.items():
        config = document.get("config") if isinstance(document, dict) else None
        for key, value in (config if isinstance(config, dict) else {}).items():
            if isinstance(value, str) and value.count("/") == 2:  # noqa: PLR2004 - org/project/stack
                yield value, f"config {key} in {file}"


def _in_text(file: Path, directory: Path, names: list[str]) -> Iterator[StackReference]:
    try:
        text = text_of(file)
    except ValueError:
        return
    for call in _CALL.finditer(text):
        literals = _LITERAL.finditer(text, call.end(), call.end() + _WINDOW)
        said = ("".join(filter(None, literal.groups())) for literal in literals)
        found = next(((one, name) for one in said if (name := _project_in(one, names))), None)
        if found is not None:
            line = text.count("\n", 0, call.start()) + 1
            where = f"StackReference in {file.relative_to(directory)}, line {line}, found by text"
            yield StackReference(found[1], found[0], where)


def _project_in(said: str, names: list[str]) -> str:
    """Of `org/project/stack` the project, if it is one of these."""
    parts = said.split("/")
    at = {3: 1, 2: 0}.get(len(parts))
    return parts[at] if at is not None and parts[at] in names else ""
