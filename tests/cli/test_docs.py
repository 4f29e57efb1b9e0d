"""docs/cli.md says what there is, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from alma import errors
from alma.cli import error_handler as edge
from alma.cli.program import COMMANDS, program
from alma.core.result import exit_code
from alma.core.run import SagaState
from alma.runner.drift import DRIFTED

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
CONTEXT = click.Context(program)

Write = Callable[..., Path]
Call = Callable[..., Result]


def command(name: str) -> click.Command:
    found: click.Command | None = program
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(CONTEXT, word)
    assert found is not None
    return found


def leaves() -> list[str]:
    """Every command by all of its words, those of a group in the order of its help."""
    names = []
    for name in COMMANDS:
        found = command(name)
        group = found.list_commands(CONTEXT) if isinstance(found, click.Group) else [""]
        names += [f"{name} {one}".strip() for one in group]
    return names


def rows(heading: str) -> list[list[str]]:
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line.startswith("| `") or re.match(r"\| \d", line)
    ]


def test_every_command_is_documented_with_its_arguments() -> None:
    documented = [re.findall(r"`([^`]+)`", row[0])[0] for row in rows("Commands")]
    names = [re.split(r" \[?[A-Z]", words)[0] for words in documented]
    assert names == leaves()
    for name, words in zip(names, documented, strict=True):
        arguments = words.removeprefix(name).split()
        parameters = [p for p in command(name).params if isinstance(p, click.Argument)]
        wanted = [p.make_metavar(CONTEXT).strip("[]") for p in parameters]
        assert [argument.strip("[]") for argument in arguments] == wanted
        assert [not argument.startswith("[") for argument in arguments] == [
            parameter.required for parameter in parameters
        ]


def options(of: click.Command) -> set[str]:
    return {
        name
        for p in of.params
        if isinstance(p, click.Option)
        for name in (*p.opts, *p.secondary_opts)
    }


def test_every_option_is_documented_with_its_commands() -> None:
    shared = {"--journal", "--json", "--debug"}
    documented: dict[str, set[str]] = {}
    for row in rows("Options"):
        names = {words.split()[0] for words in re.findall(r"`(-[^`]+)`", row[0])}
        commands = set(re.findall(r"`([a-z -]+)`", row[1])) if len(row) == 3 else {*leaves()}
        for name in names:
            documented[name] = commands
    assert {name for name, commands in documented.items() if commands == {*leaves()}} == {
        *shared,
        "-h",
        "--help",
    }
    for name in leaves():
        assert options(command(name)) == {
            option
            for option, commands in documented.items()
            if name in commands and option not in ("-h", "--help")
        }, name
    assert options(program) == shared | {"--version"}


def raised() -> Iterator[int]:
    pending: list[type[errors.AlmaError]] = [errors.AlmaError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if isinstance(kind.exit_code, int):
            yield kind.exit_code
    for state in SagaState:
        yield exit_code(state, interrupted=False)
    yield from (0, edge.USAGE, edge.CANCELLED, edge.BUG, DRIFTED)


def test_the_exit_codes_are_the_codes() -> None:
    assert {int(row[0]) for row in rows("Exit codes")} == set(raised())


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            if key not in ("outputs", "changes"):  # these hold names of the user's and Pulumi's
                yield from keys(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from keys(entry)


@pytest.mark.parametrize(
    "words",
    ["up", "status", "runs", "preview", "graph", "verify", "doctor", "history x", "destroy"],
)
def test_every_field_of_the_documents_is_documented(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    write()
    monkeypatch.setenv("BREAK", "undo")
    cli("up")
    document = json.loads(cli(*words.split(), "--json").stdout)
    section = TEXT.split("\n## JSON\n")[1]
    for key in keys(document):
        assert f"`{key}`" in section, key


def test_every_field_that_the_contract_names_is_in_the_document(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    monkeypatch.setenv("BREAK", "undo")
    document = json.loads(cli("up", "--json").stdout)
    section = TEXT.split("\n## JSON\n")[1]
    table = [line for line in section.splitlines() if line.startswith("| `")]
    named = {
        key
        for line in table
        if "`status` only" not in line
        for key in re.findall(r"`(\w+)`", line.split(" | ")[0])
    }
    assert named == set(document)


def test_what_may_be_given_more_than_once_says_so() -> None:
    """In the help, which is all that somebody at a terminal has."""
    options = [
        (name, option)
        for name in leaves()
        for option in command(name).params
        if isinstance(option, click.Option)
    ]
    assert [
        (name, option.name)
        for name, option in options
        if option.multiple != ("Repeatable." in (option.help or ""))
    ] == []
