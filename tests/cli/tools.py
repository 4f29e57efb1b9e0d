"""Sagas to run, and ways to wait for what a process does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.waiting import until

SAGA = """
import os
from alma import Saga, Secret

saga = Saga("shop", stack="dev")

def make():
    return {"url": "http://db", "password": Secret("hunter22")}

def unmake():
    pass

def use():
    if os.environ.get("BREAK"):
        raise RuntimeError("quota \\x1b[31mused up\\x1b[0m\\nsecond line")

def unuse():
    if os.environ.get("BREAK") == "undo":
        raise RuntimeError("it is still in use")

saga.add_step("database", action=make, compensation=unmake)
saga.add_step("servers", action=use, compensation=unuse)
"""

# Its step has the name of its stack.
PLACED = """
from alma import Saga
saga = Saga("shop", stack="dev")
saga.add_step(lambda: print(), "none", name=f"on-{saga.stack}")
"""

# Says that it is at work, then waits for the file `go`: no test depends on how long anything takes.
WAITING = """
import time
from pathlib import Path
from alma import Saga

saga = Saga("slow", stack="dev")

def wait():
    Path("at-work").touch()
    while not Path("go").exists():
        time.sleep(0.01)

def undo():
    Path("undone").touch()

def last():
    Path("last").touch()

saga.add_step("slow", action=wait, compensation=undo)
saga.add_step("last", action=last, compensation=undo)
"""


def names(directory: Path) -> list[str]:
    """What is in the directory."""
    return sorted(path.name for path in directory.iterdir())


def wait_for(path: Path) -> None:
    until(path.exists, f"{path} is there")


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read stdout up to and with the line that has these words."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"{words!r} never came; it printed: {seen}")
