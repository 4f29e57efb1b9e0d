"""The rooms of alma: who imports whom is as docs/architecture.md has it, and no circle is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from alma.steps.registry import KINDS
from tests.pages import ROOT, table


@cache
def rooms() -> dict[str, set[str]]:
    """For each room the rooms that it may import."""
    found = {}
    for names, _, imports in table("rooms"):
        allowed = {word.strip(" `") for word in imports.split(",") if word.strip()}
        for name in re.findall(r"`([^`]+)`", names):
            found[name] = allowed | {name}
    return found


def room_of(module: str) -> str:
    """The folder under `alma`, or the name of a root file."""
    return module.split(".")[1] if "." in module else module


@cache
def modules() -> dict[str, Path]:
    """Every module of alma by its name."""
    found = {}
    for path in (ROOT / "alma").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules that a file imports, anywhere in it and for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in modules() else str(node.module) for name in names}
    return frozenset(found)


SELECT = ("alma.core.result", "alma.pulumi.automation.select")
UPWARDS = {("alma.saga.saga", "alma.runner.start"), SELECT}
"""Inside functions: `saga.run()` and `result.stack()` are the convenience of whoever calls them."""
ROUND = {
    ("alma.runner.children", f"alma.runner.{name}")
    for name in ("binding", "preview", "resume", "start")
}
"""Inside functions: a run makes runs, in this one place."""


def arrows() -> Iterator[tuple[str, str]]:
    """Every import of one module of alma by another; the package's own names apart."""
    for name, path in modules().items():
        if name not in {"alma", "alma.__main__"}:
            for imported in imports(path):
                if imported in modules() and imported != name:
                    yield name, imported


def test_arrows_between_rooms_point_one_way() -> None:
    """As the table in docs/architecture.md has it."""
    allowed = rooms()
    wrong = {(a, b) for a, b in arrows() if room_of(b) not in allowed[room_of(a)]}
    assert wrong == UPWARDS


def test_slices_and_the_worker_are_seen_by_nobody() -> None:
    """A kind of step knows no other kind; what runs in a worker is started, never imported."""
    for name, imported in arrows():
        if imported.startswith("alma.steps.") and imported.count(".") > 2:
            inside = name.startswith(imported.rpartition(".")[0])
            assert inside or room_of(name) != "steps", (name, imported)
        if imported.startswith("alma.pulumi.automation") and (name, imported) != SELECT:
            assert name.startswith("alma.pulumi.automation"), (name, imported)


def test_no_files_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, imported in arrows():
        if (name, imported) not in UPWARDS | ROUND:
            graph.setdefault(name, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize(
    ("libraries", "owners"), table("outside"), ids=lambda cell: cell.replace("`", "")
)
def test_each_library_is_known_in_one_room(libraries: str, owners: str) -> None:
    """As the second table in docs/architecture.md has it."""
    libraries_, owners_ = (re.findall(r"`([^`]+)`", cell) for cell in (libraries, owners))
    for name, path in modules().items():
        for imported in imports(path):
            if any(imported == lib or imported.startswith(f"{lib}.") for lib in libraries_):
                at_home = any(name == owner or name.startswith(f"{owner}.") for owner in owners_)
                assert at_home, f"{name} imports {imported}"


def test_stacks_import_nothing_of_alma() -> None:
    """A stack program is plain Pulumi, of use without alma."""
    for path in (ROOT / "stacks").rglob("*.py"):
        assert not {name for name in imports(path) if name.split(".")[0] == "alma"}, path


def test_a_kind_of_step_is_known_in_its_slice_alone() -> None:
    """Nobody else asks which kind a step is of: there are kinds that alma has never seen."""
    for name, path in modules().items():
        if room_of(name) != "steps":
            assert not list(asked_kinds(ast.parse(path.read_text()))), name


def asked_kinds(tree: ast.AST) -> Iterator[str]:
    """Comparisons of a kind with one of alma's own, and checks for a step's or handler's class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            kind = any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in sides)
            words = {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}
            if kind and words & set(KINDS):
                yield ast.unparse(node)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            names = {leaf.id for leaf in ast.walk(node.args[1]) if isinstance(leaf, ast.Name)}
            if any(re.fullmatch(r"[A-Z]\w+(Step|Handler)", each) for each in names):
                yield ast.unparse(node)


@pytest.mark.parametrize(
    "line",
    [
        'step.kind == "stack"',
        'step.kind in ("http", "ansible")',
        "isinstance(step, StackStep)",
        "isinstance(one, (int, HttpHandler))",
    ],
)
def test_a_question_for_a_kind_is_seen(line: str) -> None:
    assert list(asked_kinds(ast.parse(line)))
    assert not list(asked_kinds(ast.parse('run.kind == "up" or isinstance(step, Step)')))
