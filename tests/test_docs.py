"""What the documents say and show is so: this file is what `nox -s docs` runs."""

from __future__ import annotations

import ast
import difflib
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from alma.cli.program import COMMANDS, program
from alma.core.run import SagaState
from alma.core.transitions import TRANSITIONS
from alma.errors import AlmaError
from tests.pages import CONTRIBUTING, DOCS, README, ROOT, block, table

IDS = [path.name for path in DOCS]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
RUN = re.compile(
    r"<!-- run: (?P<command>[^>]+?)(?: -> (?P<code>\d+))? -->\n```python\n(?P<text>.*?)```",
    re.DOTALL,
)
FILE = re.compile(r"<!-- file: (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)
SESSION = re.compile(r"<!-- session -->\n```console\n(.*?)```", re.DOTALL)
RUNS = [
    pytest.param(match, id=f"{path.name}-{match['command'].split()[-1]}")
    for path in DOCS
    for match in RUN.finditer(path.read_text())
    if "saga.py" not in match["command"]  # the transcript's, which has a test of its own
]


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
        timeout=300,
        check=False,
    )


# -- blocks that are run ----------------------------------------------------------------------


@pytest.mark.lives
@pytest.mark.usefixtures("pulumi_cli")
@pytest.mark.parametrize("match", RUNS)
def test_marked_blocks_run(match: re.Match[str], tmp_path: Path) -> None:
    ended = run(match["command"], match["text"], tmp_path)
    assert ended.returncode == int(match["code"] or 0), ended.stdout + ended.stderr


@pytest.mark.lives
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
    differences = list(difflib.unified_diff(normal(shown), normal(said), "README", "program"))
    assert not differences, "\n".join([*differences, "", *said])


def test_the_session_of_the_page_for_operators(tmp_path: Path) -> None:
    play("operations.md", tmp_path)


def test_the_session_of_the_page_on_terragrunt(
    tmp_path: Path, tofu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALMA_TERRAFORM", str(tofu))
    play("terragrunt.md", tmp_path)


def play(name: str, directory: Path) -> None:
    """All sessions of a page in one shell, with its files; a line `...` stands for any lines."""
    text = (ROOT / "docs" / name).read_text()
    for found in FILE.finditer(text):
        file = directory / found["name"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(found["text"])
    command = directory / "bin" / "alma-pulumi"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m alma "$@"\n')
    command.chmod(0o755)
    shown = "".join(SESSION.findall(text))
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", shown, re.MULTILINE)
    mark = "-- the end of a step --"
    script = "".join(f"{step}\ncode=$?; echo; echo '{mark}'; (exit $code)\n" for step, _ in steps)
    ended = subprocess.run(
        ["sh", "-c", script],
        cwd=directory,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    said = ended.stdout.split(f"\n{mark}\n")
    assert len(said) == len(steps) + 1, ended.stdout
    for (step, expected), answer in zip(steps, said, strict=False):
        lines = normal(expected.splitlines())
        pattern = "".join(
            r"(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in lines
        )
        answered = "".join(f"{line}\n" for line in normal(answer.splitlines()))
        assert re.fullmatch(pattern, answered), f"$ {step}\n{answered}"


def normal(lines: list[str]) -> list[str]:
    """Without what differs from run to run, and between versions of Pulumi's SDK."""
    timeless = (re.sub(r"^\[(\d+m)?[\d.]+s\]", "[s]", line) for line in lines)
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


def sessions() -> set[str]:
    """What `nox -s` can be given: each function's name, unless its decorator has another."""
    found = set()
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                named = [k.value for k in getattr(decorator, "keywords", ()) if k.arg == "name"]
                found.add(ast.literal_eval(named[0]) if named else node.name)
    return found


def test_sessions_that_are_mentioned_exist_and_contributing_names_all() -> None:
    mentioned = {
        name for path in DOCS for name in re.findall(r"nox -s ([\w.-]*\w)", path.read_text())
    }
    assert mentioned <= sessions()
    rows = re.findall(r"^\| (`.*?`) \|", CONTRIBUTING.read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([\w.-]+)`", row)} == sessions()


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


# -- the site -----------------------------------------------------------------------------------


def test_every_page_is_in_the_sites_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    for path in (ROOT / "docs").glob("*.md"):
        assert f": {path.name}\n" in menu, path.name


def test_what_the_site_says_of_commands_is_the_programs_help() -> None:
    hook = runpy.run_path(str(ROOT / "docs" / "hooks" / "commands.py"))
    text = (ROOT / "docs" / "cli.md").read_text()
    page = SimpleNamespace(file=SimpleNamespace(src_uri="cli.md"))
    shown = hook["on_page_markdown"](text, page=page, config=None, files=None)
    assert shown.startswith(text.partition("<!-- commands")[0])
    assert shown.endswith(text.partition("<!-- end -->\n")[2])
    top = click.Context(program, info_name="alma-pulumi")
    for command in COMMANDS:
        own = program.get_command(top, command)
        assert own is not None
        section = shown.partition(f"\n### {command}\n")[2].partition("\n### ")[0]
        for option in own.params:
            if isinstance(option, click.Option) and not option.hidden:
                told = shown if option.name in {"journal", "json", "debug"} else section
                assert f"{max(option.opts, key=len)}" in told, (command, option.name)


def test_the_page_of_the_command_line_names_every_option() -> None:
    """Its tables are what is read where no site is."""
    tables = (ROOT / "docs" / "cli.md").read_text().partition("<!-- end -->")[0]
    rows = "".join(re.findall(r"^\| (`-.*?) \|", tables, re.MULTILINE))
    top = click.Context(program, info_name="alma-pulumi")
    for command in filter(None, (program.get_command(top, name) for name in COMMANDS)):
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert max(option.opts, key=len) in rows, (command.name, option.name)


# -- tables and rules that come from the code -------------------------------------------------


def test_the_states_are_as_the_transition_table_has_them() -> None:
    rows = [(state, onward) for state, _, onward in table("transitions", "semantics.md")]
    assert rows == [
        (state.name, ", ".join(to.name for to in SagaState if to in TRANSITIONS[state]))
        for state in SagaState
    ]


def test_the_walk_and_the_pages_name_files_that_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    walk = set(re.findall(r"[\w/]+\.py", block(text, "walk")))
    named = set(re.findall(r"`((?:[a-z_]+/)+[\w]+\.py)`", text))
    assert walk
    for file in walk | named:
        assert (ROOT / "alma" / file).exists() or (ROOT / file).exists(), file
