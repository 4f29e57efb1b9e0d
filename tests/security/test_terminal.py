"""What somebody else has named, and where it is shown: no terminal, runner or shell obeys it."""

from __future__ import annotations

import json
import shlex
import time

import pytest

from alma.cli.output import print_json, say, state
from alma.core.events import Leftover
from alma.core.run import RunStatus, SagaState
from alma.reports import report, text

ORDERS = [
    "::set-output name=a::b",
    "  ::add-mask::x",
    "\u2003::stop-commands::x",
    "first\n::error::second",
    "first\r::error::second",
    "\x1b[0m::error::x",
    "::::error::x",
    "a ##vso[task.setvariable variable=a]b",
    "##[command]x",
    "##teamcity[x]",
    "section_start:1:x",
    "section_end:1:x",
]


def obeyed(printed: str) -> bool:
    """Whether one of the runners would."""
    lines = printed.splitlines()
    return any(line.lstrip().startswith("::") for line in lines) or any(
        word in printed
        for word in ("##[", "##vso[", "##teamcity[", "section_start:", "section_end:")
    )


@pytest.mark.parametrize("order", ORDERS)
def test_no_runner_obeys_what_is_printed(order: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By whatever way it comes to be printed, as text and as JSON."""
    assert obeyed(order.replace("\x1b[0m", "").replace("\r", "\n"))
    say(order)
    say(order, err=True)
    left = Leftover(step=order, stack=order, urn=order, id=order, reason=order)
    for line in report.leftovers((left,)):
        say(line)
    out, err = capsys.readouterr()
    assert not obeyed(out), out
    assert not obeyed(err), err
    import sys

    print_json({"id": order}, sys.stdout)
    printed = capsys.readouterr().out
    assert not obeyed(printed)
    assert json.loads(printed) == {"id": order}


@pytest.mark.parametrize(
    "code", ["\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\x1b[8m", "\x07", "\x1b"]
)
def test_no_terminal_obeys_it(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a{code}b\u202ec")
    assert capsys.readouterr().out == "ab\\u202ec\n"


def test_our_own_colours_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("alma.cli.output._coloured", lambda: True)
    monkeypatch.setattr("alma.cli.output.click.utils.should_strip_ansi", lambda *_, **__: False)
    assert state("FAILED") == "\x1b[31mFAILED\x1b[0m"
    say(f"it is {state('FAILED')}")
    assert capsys.readouterr().out == "it is \x1b[31mFAILED\x1b[0m\n"


def test_a_command_to_go_on_with_is_one_command() -> None:
    """Whatever the run is called."""
    for id_ in ("x; rm -rf ~", "$(id)", "a b", "`id`", "20261127-1"):
        run = RunStatus(run=id_, state=SagaState.RUNNING, origin="saga.py")
        for command in report.next_commands(run, None, interrupted=True):
            assert shlex.split(command)[2] == id_


def test_it_takes_no_time() -> None:
    began = time.process_time()
    for hostile in (":" * 300_000, " " * 300_000, "#" * 300_000, "\n" * 300_000, "\x1b]" * 100_000):
        text.plain(hostile)
    assert time.process_time() - began < 5
