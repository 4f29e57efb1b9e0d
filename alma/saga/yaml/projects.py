"""The Pulumi projects below a directory: their names, their stacks, what they refer to.

Nothing is executed: a program in YAML is read, one in another language is searched as text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct, field
from msgspec.structs import replace

from alma.core.validation import NAME
from alma.saga.elsewhere import words

FILES: Final = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
"""The names that Pulumi itself looks for."""
LARGEST: Final = 1024 * 1024
"""Bytes of a file that is read."""

_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})
_SETTINGS: Final = re.compile(r"Pulumi\.(.+)\.(yaml|yml|json)")


class Project(Struct, frozen=True, kw_only=True):
    """One of them. `where` is its directory, relative to the one that was searched.

    `stacks` are those that it has settings of; `files` are the sources that are its own.
    """

    name: str
    where: Path
    stacks: tuple[str, ...]
    document: Any
    settings: dict[Path, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


class LeftOut(Struct, frozen=True):
    """A project's file that no step can be made of, and why."""

    file: Path
    why: str


def find_projects(directory: Path) -> tuple[list[Project], list[LeftOut]]:
    """By their directories, from above; not in hidden ones, `node_modules`, environments."""
    found: dict[Path, Project] = {}
    left: list[LeftOut] = []
    files: dict[Path, list[Path]] = {}
    for place, names in _walk(directory):
        file = next((place / name for name in FILES if name in names), None)
        if file is not None:
            files[place] = []
            try:
                found[place] = _read(directory, place, file, names)
            except ValueError as error:
                left.append(LeftOut(file.relative_to(directory), str(error)))
        # What stands below a project is its own, down to the next one.
        home = next((one for one in (place, *place.parents) if one in files), None)
        if home is not None:
            files[home] += [place / name for name in names]
    unique: dict[str, Project] = {}
    for place, project in found.items():
        if project.name in unique:
            why = f"{unique[project.name].where} has a project {project.name} as well"
            left.append(LeftOut(project.where / FILES[0], why))
        else:
            unique[project.name] = replace(project, files=tuple(files[place]))
    return list(unique.values()), left


def _walk(directory: Path) -> Iterator[tuple[Path, list[str]]]:
    for place, folders, names in os.walk(directory):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not Path(place, name, "pyvenv.cfg").exists()
        )
        yield Path(place), sorted(names)


def _read(directory: Path, place: Path, file: Path, names: Sequence[str]) -> Project:
    """Raises ValueError, in words, for what no step can be made of."""
    document = load(file)
    name = document.get("name") if isinstance(document, dict) else None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("it does not name its project" if not name else "its name is none")
    folder = place / str(document.get("stackConfigDir") or "")
    there = names if folder == place else _names_in(folder)
    settings = {}
    stacks = []
    for one in there:
        match = _SETTINGS.fullmatch(one)
        if match and NAME.fullmatch(match[1]):
            stacks.append(match[1])
            try:
                settings[(folder / one).relative_to(directory)] = load(folder / one)
            except ValueError:
                continue  # Its name tells of the stack; what is in it only Pulumi needs.
    return Project(
        name=name,
        where=place.relative_to(directory),
        stacks=tuple(dict.fromkeys(stacks)),
        document=document,
        settings=settings,
    )


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def load(file: Path) -> Any:
    """A file of YAML or JSON. Raises ValueError, in words."""
    try:
        return yaml.safe_load(text_of(file))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"it is no YAML{f' in line {mark.line + 1}' if mark else ''}") from error
    except (RecursionError, OverflowError) as error:
        raise ValueError("it cannot be read") from error


def text_of(file: Path) -> str:
    """A file's text. Raises ValueError, in words."""
    try:
        if not file.is_file():
            raise ValueError("it is no file")
        if file.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is no UTF-8 text") from error
    except OSError as error:
        raise ValueError(f"it cannot be read: {words(error)}") from error
