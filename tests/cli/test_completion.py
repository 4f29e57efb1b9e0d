"""What a shell offers, asked in the way in which its script asks, and by bash on a terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from alma.cli.program import COMMANDS
from alma.journal import open_journal
from tests.cli.terminal import Terminal

Write = Callable[..., Path]
Call = Callable[..., Result]
Ask = Callable[..., list[str]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, cli: Call) -> Ask:
    """The words that bash is offered for the last one."""

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("_ALMA_PULUMI_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["alma-pulumi", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        told = cli()
        monkeypatch.delenv("_ALMA_PULUMI_COMPLETE")
        assert (told.exit_code, told.stderr) == (0, "")
        return [line.removeprefix("plain,") for line in told.stdout.splitlines() if line]

    return offered


@pytest.fixture
def run(write: Write, cli: Call, tmp_path: Path) -> str:
    """A run is in the journal; the file that it came from is not to be executed any more."""
    path = write()
    assert cli("up").exit_code == 0
    path.write_text("from pathlib import Path\nPath('executed').touch()\n")
    with open_journal(tmp_path / ".alma" / "journal.db", write=False) as journal:
        return journal.resolve("latest")


def test_commands_and_options(ask: Ask) -> None:
    assert ask("") == list(COMMANDS)
    assert ask("can") == ["cancel"]
    assert ask("logs", "--fol") == ["--follow"]
    assert "--json" in ask("up", "--")


def test_runs_and_steps_come_from_the_journal_and_no_file_is_executed(
    ask: Ask, run: str, tmp_path: Path
) -> None:
    assert ask("status", "") == ["latest", run]
    assert ask("cancel", run[:9]) == [run]
    assert ask("logs", "latest", "") == ["database", "servers"]
    assert ask("skip", run, "ser") == ["servers"]
    assert ask("restore", "saga.py", "--step", "d") == ["database"]
    assert ask("restore", "other.py", "--step", "") == []
    assert ask("restore", "--to", "la") == ["latest"]
    assert ask("up", "sa") == ["file,sa"]
    assert ask("up", "saga.py", "database", "s") == ["servers"]
    assert ask("destroy", "saga.py", "--exclude", "") == ["database", "servers"]
    assert ask("--journal", "nowhere.db", "status", "") == []
    assert not (tmp_path / "executed").exists()


def test_where_there_is_nothing_to_read_nothing_is_offered_and_nothing_written(
    ask: Ask, tmp_path: Path
) -> None:
    assert ask("status", "") == []
    assert ask("logs", "latest", "") == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".alma").mkdir()
    (tmp_path / ".alma" / "journal.db").write_text("no journal")
    assert ask("status", "") == []


def test_parameters_are_those_of_the_function_whose_file_is_executed(
    ask: Ask, write: Write
) -> None:
    """Bash takes a colon and an equals sign for words of their own."""
    write(
        "from alma import Saga\nprint('a line of its own')\n"
        "def shop(region: str, replicas: int = 2) -> Saga: ...\n"
        "def other(zone: str) -> Saga: ...\n",
        "infra.py",
    )
    assert ask("up", "infra.py", ":", "shop", "-p", "") == ["region=", "replicas="]
    assert ask("preview", "infra.py", ":", "other", "--param", "") == ["zone="]
    assert ask("up", "infra.py", ":", "shop", "-p", "reg") == ["region="]
    assert ask("up", "infra.py", ":", "shop", "-p", "region", "=", "") == []
    assert ask("up", "nowhere.py", "-p", "") == []


def test_what_a_shell_would_take_for_more_than_a_word_is_not_offered() -> None:
    from alma.cli.completing import _offered

    hostile = ["$(touch x)", "a;b", "`x`", "a b", "-rf", "*", "a\nplain,b", ""]
    found = [(word, "words\nplain\n$(x)") for word in [*hostile, "20260101-a"]]
    (offered,) = _offered(found, "")
    assert offered.value == "20260101-a"
    assert "\n" not in offered.help
    assert "$" not in offered.help


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(cli: Call, shell: str) -> None:
    script = cli("completion", shell).stdout
    assert f"_ALMA_PULUMI_COMPLETE={shell}_complete" in script
    document = json.loads(cli("completion", shell, "--json").stdout)
    assert document["script"].strip() == script.strip()
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, check=True, timeout=300)


def test_another_shell_is_a_sentence(cli: Call) -> None:
    told = cli("completion", "tcsh")
    assert told.exit_code == 2
    assert "'tcsh' is not one of" in told.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_are_answered_in_their_own_form(
    cli: Call, run: str, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("_ALMA_PULUMI_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "alma-pulumi status ")
    monkeypatch.setenv("COMP_CWORD", "2" if shell == "zsh" else "")
    said = cli().stdout
    if shell == "zsh":
        assert f"plain\n{run}\nup shop/dev\n" in said
    else:
        assert f"plain,{run}" in said


@pytest.fixture
def bash(tmp_path: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    program = tmp_path / "bin" / "alma-pulumi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m alma "$@"\n')
    program.chmod(0o755)
    found = shutil.which("bash")
    if found is None:
        pytest.skip("there is no bash here")
    variables = {
        **environment,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "TERM": "dumb",
        "PS1": "ready> ",
        "INPUTRC": "/dev/null",
    }
    screen = Terminal([found, "--norc", "--noprofile", "-i"], variables, 200, 24)
    yield screen
    screen.close()


def test_tab_completes_on_a_terminal(bash: Terminal, run: str) -> None:
    bash.until(lambda text: "ready> " in text)
    bash.type('eval "$(alma-pulumi completion bash)"; echo sour""ced\n')
    bash.until(lambda text: "\nsourced" in text)
    bash.type(f"alma-pulumi status {run[:9]}\t")
    bash.until(lambda text: f"alma-pulumi status {run}" in text)
