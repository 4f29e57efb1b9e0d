"""The text of a first saga.yaml: a step for each Pulumi project that was found."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from msgspec import Struct

from alma.errors import DefinitionError
from alma.saga.yaml.projects import Project, find_projects
from alma.saga.yaml.scalars import is_plain_text
from alma.saga.yaml.stack_references import StackReference, references_of

DEFAULT: Final = "dev"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*")


class FirstFile(Struct, frozen=True, kw_only=True):
    """What is to be written, and of what."""

    text: str
    saga: str
    stack: str
    steps: tuple[str, ...]
    left_out: tuple[str, ...]


def first_file(directory: Path) -> FirstFile:
    """A saga of the projects below the directory. DefinitionError where there is none."""
    projects, left = find_projects(directory)
    if not projects:
        why = f" ({left[0].file}: {left[0].why})" if left else ""
        raise DefinitionError(
            f"There is no Pulumi project below {directory}{why}.",
            hint="Call it above the directories of your projects: each has a Pulumi.yaml.",
        )
    known = {project.name: project for project in projects}
    references = {
        name: list(references_of(project, directory, known)) for name, project in known.items()
    }
    order, circular = _ordered(references)
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", directory.resolve().name).lstrip("_.-")[:100] or "saga"
    stack, others = _stack(projects)
    lines = [
        "# Written by `alma-pulumi init` of the Pulumi projects below this directory; yours to",
        "# change. What it would do: alma-pulumi preview saga.yaml",
        *(f"# Left out: {_told(str(one.file))}: {_told(one.why)}" for one in left),
        f"name: {_text(name)}",
        f"stack: {_text(stack)}{_also(others)}",
        "",
        "steps:",
    ]
    for step in order:
        lines += _step(known[step], references[step], circular)
    return FirstFile(
        text="\n".join(lines) + "\n",
        saga=name,
        stack=stack,
        steps=tuple(order),
        left_out=tuple(f"{one.file}: {one.why}" for one in left),
    )


def _ordered(
    references: dict[str, list[StackReference]],
) -> tuple[list[str], set[tuple[str, str]]]:
    """The steps, each after those that it refers to; and references that would make a circle."""
    # In the order of the files, so that the same projects make the same file.
    graph = {
        name: dict.fromkeys(one.project for one in found) for name, found in references.items()
    }
    circular: set[tuple[str, str]] = set()
    while True:
        try:
            return list(TopologicalSorter(graph).static_order()), circular
        except CycleError as error:
            # As it tells them, each one is referred to by the next.
            other, name = error.args[1][:2]
            circular.add((name, other))
            del graph[name][other]


def _step(
    project: Project, references: Sequence[StackReference], circular: set[tuple[str, str]]
) -> list[str]:
    lines = [
        f"  - name: {_text(project.name)}",
        "    kind: stack",
        f"    work_dir: {_text(project.where.as_posix())}",
    ]
    waits: dict[str, StackReference] = {}
    for one in references:
        if (project.name, one.project) in circular:
            lines.append(f"    # Not waited for, as it would be a circle: {_comment(one)}")
        else:
            waits.setdefault(one.project, one)
    if not waits:
        return [*lines, "    depends_on: []"]
    waited = [f"      - {_text(name)}  # {_comment(one)}" for name, one in waits.items()]
    return [*lines, "    depends_on:", *waited]


def _stack(projects: Sequence[Project]) -> tuple[str, list[str]]:
    """The stack that most of them have settings of, and the others."""
    count = Counter(stack for project in projects for stack in project.stacks)
    if not count:
        return DEFAULT, []
    most = max(count.values())
    best = sorted(stack for stack, many in count.items() if many == most)
    stack = DEFAULT if DEFAULT in best else best[0]
    return stack, sorted(count.keys() - {stack})


def _also(stacks: Sequence[str]) -> str:
    return f"  # or --stack {', '.join(stacks)}: they have settings too" if stacks else ""


def _comment(reference: StackReference) -> str:
    return f"{_told(reference.found)} ({_told(reference.said)})"


def _told(text: str) -> str:
    """What others have written, on one line of a comment."""
    return "".join(one if one.isprintable() else "?" for one in text)[:200]


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and is_plain_text(text) else json.dumps(text)
