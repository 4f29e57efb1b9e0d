"""What the documents say and show is so: this file is what `nox -s docs` runs."""

from __future__ import annotations

import ast
import difflib
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from alma.cli.program import COMMANDS
from alma.core.run import SagaState
from alma.core.state import TRANSITIONS
from alma.errors import AlmaError

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [path.name for path in DOCS]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
RUN = re.compile(
    r"<!-- run: (?P<command>[^>]+?)(?: -> (?P<code>\d+))? -->\n```python\n(?P<text>.*?)```",
    re.DOTALL,
)
RUNS = [
    pytest.param(match, id=f"{path.name}-{match['command'].split()[-1]}")
    for path in DOCS
    for match in RUN.finditer(path.read_text())
    if "saga.py" not in match["command"]  # the transcript's, which has a test of its own
]


def block(text: str, mark: str) -> str:
    """The content of the code block after `<!-- mark -->`."""
    found = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found, f"no block is marked {mark}"
    return found[1]


def run(command: str, text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Save the block under the name that its command ends with, and run the command."""
    tool, *arguments = command.split()
    (directory / arguments[-1]).write_text(text)
    front = {"python": [sys.executable], "alma-pulumi": [sys.executable, "-m", "alma"]}[tool]
    return subprocess.run(
        [*front, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


# -- blocks that are run ----------------------------------------------------------------------


@pytest.mark.usefixtures("pulumi_cli")
@pytest.mark.parametrize("match", RUNS)
def test_marked_blocks_run(match: re.Match[str], tmp_path: Path) -> None:
    ended = run(match["command"], match["text"], tmp_path)
    assert ended.returncode == int(match["code"] or 0), ended.stdout + ended.stderr


@pytest.mark.usefixtures("pulumi_cli")
def test_transcript_of_the_readme_is_what_the_program_says(tmp_path: Path) -> None:
    """Word by word, times and run ids left out."""
    text = README.read_text()
    example = next(found for found in RUN.finditer(text) if "saga.py" in found["command"])
    shown = block(text, "transcript").splitlines()
    assert shown.pop(0) == f"$ {example['command']}"
    ended = run(example["command"], example["text"], tmp_path)
    assert ended.returncode == int(example["code"])
    said = [*ended.stdout.splitlines(), ended.stderr.splitlines()[0]]
    differences = list(difflib.unified_diff(*map(normal, (shown, said)), "README", "program"))
    assert not differences, "\n".join([*differences, "", *said])


def normal(lines: list[str]) -> list[str]:
    """Without what differs from run to run, and between versions of Pulumi's SDK."""
    timeless = (re.sub(r"^\[[\d.]+s\]", "[s]", line) for line in lines)
    # 3.272 sends the traceback of what a dynamic provider raised, 3.259 only the message. The
    # class is told then, and the place if it is in the user's own code (an editable install).
    told = re.compile(r"\b(\w+\.)+\w*Error: | \(\w+\.py:\d+ in \w+\)$")
    timeless = (told.sub("", line) for line in timeless)
    return [re.sub(r"\d{8}-\d{6}-\d{3}-[0-9a-f]{4}", "RUN", line) for line in timeless]


def test_every_python_block_is_marked_or_compiles() -> None:
    """Also those that only show a part of something."""
    for path in DOCS:
        for text in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
            compile(text, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# -- what is mentioned exists -----------------------------------------------------------------


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_internal_links_resolve(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(found), f"{path.name} links to {target}"


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_commands_that_are_mentioned_exist(path: Path) -> None:
    mentioned = set(re.findall(r"alma-pulumi ([a-z]+)", path.read_text()))
    assert mentioned <= set(COMMANDS)


def test_readme_names_every_command_and_every_exit_code() -> None:
    rows = [line for line in README.read_text().splitlines() if line.startswith("| ")]
    for command in COMMANDS:
        assert any(row.startswith(f"| `alma-pulumi {command}") for row in rows), command
    codes = {kind.exit_code for kind in errors_of(AlmaError) if isinstance(kind.exit_code, int)}
    for code in {0, 4, 10, 255} | codes:
        assert any(row.startswith(f"| {code} |") for row in rows), code


def errors_of(kind: type[AlmaError]) -> Iterator[type[AlmaError]]:
    yield kind
    for further in kind.__subclasses__():
        yield from errors_of(further)


def test_every_example_is_in_the_readme_and_has_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "examples").glob("test_*.py"))
    for example in (ROOT / "examples").glob("*.py"):
        assert f"](examples/{example.name})" in README.read_text(), example.name
        assert f'"{example.name}"' in tests, example.name


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_no_page_names_a_place_of_one_machine(path: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:work|home|root|tmp)/\S*", path.read_text())


# -- diagrams and rules that come from the code -------------------------------------------------


def test_state_diagram_is_the_transition_table() -> None:
    assert block((ROOT / "docs" / "semantics.md").read_text(), "transitions") == diagram()


def diagram() -> str:
    """`alma.core.state.TRANSITIONS` as Mermaid, in the order of the states."""
    lines = ["stateDiagram-v2", f"    [*] --> {SagaState.PENDING.name}"]
    for state in SagaState:
        lines += [f"    {state.name} --> {to.name}" for to in SagaState if to in TRANSITIONS[state]]
        if state.is_final:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join(lines) + "\n"


@cache
def rooms() -> dict[str, tuple[list[str], set[str]]]:
    """The table of docs/architecture.md: for each room its modules and what it may import."""
    text = (ROOT / "docs" / "architecture.md").read_text().partition("<!-- rooms -->")[2]
    table = text.strip().partition("\n\n")[0].splitlines()[2:]
    found = {}
    for row in table:
        name, modules, imports = (cell.strip() for cell in row.strip("|").split("|"))
        allowed = {word.strip() for word in imports.split(",") if word.strip()}
        found[name] = (re.findall(r"`([^`]+)`", modules), allowed | {name})
    return found


def room_of(module: str) -> str:
    """The first room that has the module."""
    short = module.removeprefix("alma.")
    for name, (patterns, _) in rooms().items():
        if any(fnmatchcase(short, pattern) for pattern in patterns):
            return name
    pytest.fail(f"{module} is in no room: name it in docs/architecture.md")


@cache
def modules() -> dict[str, Path]:
    """Every module of alma by its name."""
    found = {}
    for path in (ROOT / "alma").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it; those for type checking left out."""
    found = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in modules() else str(node.module) for name in names}
        pending.extend(ast.iter_child_nodes(node))
    return found


UPWARDS = {
    ("alma.saga.saga", "alma.runner.start"),
    ("alma.saga.saga", "alma.pulumi.prewarm"),
    ("alma", "alma.runner.start"),
}
"""Inside functions: `saga.run()` is the convenience of whoever defines one."""


def test_arrows_between_modules_point_one_way() -> None:
    """As the table in docs/architecture.md has it."""
    table = rooms()
    for name, path in modules().items():
        if name == "alma":
            continue
        allowed = table[room_of(name)][1]
        for imported in imports(path):
            if imported.startswith("alma.") and (name, imported) not in UPWARDS:
                assert room_of(imported) in allowed, f"{name} imports {imported}"


OWNERS = {
    "pulumi": ("alma.pulumi.*",),
    "sqlite3": ("alma.journal.*", "alma.testing.*"),
    "sqlite_utils": ("alma.journal.*",),
    "click": ("alma.cli.*",),
    "rich": ("alma.cli.*",),
}


@pytest.mark.parametrize("library", OWNERS)
def test_each_library_is_known_in_one_room(library: str) -> None:
    for name, path in modules().items():
        used = {imported.partition(".")[0] for imported in imports(path)}
        if library in used:
            assert any(fnmatchcase(name, owner) for owner in OWNERS[library]), name


def test_stacks_import_nothing_of_alma() -> None:
    """A stack program is plain Pulumi, of use without alma."""
    for path in (ROOT / "stacks").rglob("*.py"):
        assert not {name for name in imports(path) if name.split(".")[0] == "alma"}, path
