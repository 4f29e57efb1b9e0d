"""The live view, on a terminal that is a pty."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from alma.cli.live import LiveView, Row, _fitting
from alma.core.run import SagaState
from tests.cli.terminal import Terminal
from tests.cli.tools import WAITING, wait_for

Write = Callable[..., Path]
Start = Callable[..., Terminal]

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


def cursor_is_back(text: str) -> bool:
    return HIDDEN in text and text.rindex(SHOWN) > text.rindex(HIDDEN)


def test_each_step_has_its_line_and_the_report_follows(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up", "--yes")
    assert screen.end() == 0, screen.text
    assert cursor_is_back(screen.text)
    assert re.search(r"✓.* database +COMPLETED", "\n".join(screen.lines()))
    after = screen.text[screen.text.rindex(SHOWN) :]
    assert "STEP      STATE" in after
    assert 'database.url: "http://db"' in after


def test_a_step_that_is_under_way_is_shown(write: Write, terminal: Start, tmp_path: Path) -> None:
    write(WAITING)
    screen = terminal("up", "--yes")
    wait_for(tmp_path / "at-work")
    screen.until(lambda text: "▶ slow  RUNNING" in text and "last  PENDING" in text)
    (tmp_path / "go").touch()
    assert screen.end() == 0


def test_long_names_in_a_narrow_terminal_are_cut_not_wrapped(write: Write, terminal: Start) -> None:
    name = "a-very-long-name-" * 5
    write(
        f'from alma import Saga\nsaga = Saga("{name}")\n'
        f"def a(): pass\nsaga.add_step('{name}', action=a)\n"
    )
    screen = terminal("up", "--yes", columns=40)
    assert screen.end() == 0
    drawn = screen.text[: screen.text.rindex(SHOWN)]
    screen.text = drawn
    assert any("a-very-long" in line for line in screen.lines())
    assert max(map(len, screen.lines())) <= 40


def test_a_table_after_it_fits_the_terminal(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up", "--yes", columns=30)
    assert screen.end() == 0
    table = [line for line in screen.lines() if line.startswith(("STEP", "database ", "servers "))]
    assert table
    assert max(map(len, table)) <= 30


def test_ctrl_c_twice_gives_the_cursor_back(write: Write, terminal: Start, tmp_path: Path) -> None:
    write(WAITING)
    screen = terminal("up", "--yes")
    wait_for(tmp_path / "at-work")
    screen.until(lambda text: "RUNNING" in text)
    screen.type("\x03")
    screen.until(lambda text: "once more" in text)
    screen.type("\x03")
    assert screen.end() == 8
    assert cursor_is_back(screen.text)
    assert "alma-pulumi resume" in screen.text[screen.text.rindex(SHOWN) :]


def test_a_failure_is_told_below_the_view(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up", "--yes", BREAK="action")
    assert screen.end() == 4
    after = screen.text[screen.text.rindex(SHOWN) :]
    assert "error: shop/dev" in after
    assert "quota used up" in after
    assert "\x1b[31mused up" not in screen.text


def test_no_color_is_honoured(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up", "--yes", NO_COLOR="1")
    assert screen.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", screen.text)


def test_a_dumb_terminal_gets_plain_lines(write: Write, terminal: Start) -> None:
    write()
    screen = terminal("up", "--yes", TERM="dumb", NO_COLOR="1")
    assert screen.end() == 0
    assert "\x1b" not in screen.text
    assert "database: action completed" in screen.text


def test_prints_of_an_action_do_not_break_the_view(write: Write, terminal: Start) -> None:
    write(
        "from alma import Saga\nsaga = Saga('s')\n"
        "def a(): print('hello from the action')\nsaga.add_step(action=a)\n"
    )
    screen = terminal("up", "--yes")
    assert screen.end() == 0
    assert "hello from the action" in screen.lines()


def test_a_low_terminal_shows_what_is_going_on() -> None:
    rows = [Row(f"s{i}", state=SagaState.COMPLETED) for i in range(20)]
    rows[15].state = SagaState.RUNNING
    shown = _fitting(rows, 5)
    assert len(shown) == 5
    assert rows[15] in shown


def test_a_terminal_without_unicode_gets_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    view = LiveView(Console(file=stream, force_terminal=True, width=60))
    view._rows = {"a": Row("a", state=SagaState.COMPLETED)}
    view._console.print(view)
    stream.flush()
    assert b"+ a" in stream.buffer.getvalue()  # type: ignore[attr-defined]
