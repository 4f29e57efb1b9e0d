"""Digests of programs: what changes them, and what does not."""

from __future__ import annotations

import functools
import subprocess
import types
from typing import Any

import pytest

from alma.pulumi.programs import code_digest
from tests.pulumi import programs
from tests.pulumi.conftest import environment, python


def module_of(source: str, name: str = "user") -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(source, f"/somewhere/{name}.py", "exec"), vars(module))  # noqa: S102
    return module


BASE = """
SIZE = 3
def helper(x):
    return {"b", "a", x}
class Kind:
    limit = 1
    def run(self):
        return helper(SIZE)
def program(n=1):
    def inner():
        return Kind().run(), n in {1, 2, "x", "y"}
    return inner
"""


def test_a_digest_ignores_where_the_code_stands() -> None:
    """Lines, files and the order of sets are no change."""
    same = module_of("\n\n# a comment\n" + BASE.replace("    limit", "\n    limit"))
    assert code_digest(module_of(BASE).program) == code_digest(same.program)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE = 3", "SIZE = 4"),
        ('"b", "a", x', '"b", "c", x'),
        ("limit = 1", "limit = 2"),
        ("n=1", "n=2"),
        ("helper(SIZE)", "helper(SIZE + 1)"),
        ("Kind().run()", "Kind().limit"),
        ('2, "x"', '3, "x"'),
    ],
)
def test_a_digest_sees_every_edit(old: str, new: str) -> None:
    """In the function, and in what it uses of its module."""
    assert code_digest(module_of(BASE).program) != code_digest(
        module_of(BASE.replace(old, new)).program
    )


def test_a_digest_sees_captured_values() -> None:
    """Plain data counts; other objects by their type."""
    assert code_digest(programs.many(3)) == code_digest(programs.many(3))
    assert code_digest(programs.many(3)) != code_digest(programs.many(4))
    partial = functools.partial(programs.waits, "a")
    assert code_digest(partial) != code_digest(functools.partial(programs.waits, "b"))


def test_a_digest_is_the_same_in_another_process() -> None:
    """With another hash seed."""
    script = (
        "from tests.pulumi import test_digest\n"
        "print(test_digest.code_digest(test_digest.module_of(test_digest.BASE).program))"
    )
    digests = {
        subprocess.run(
            python("-c", script),
            env={**environment(), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {code_digest(module_of(BASE).program)}


@pytest.mark.parametrize("kind", [set, dict, list])
def test_what_changes_meanwhile_is_as_it_was_when_it_was_reached(kind: type) -> None:
    """A thread of the user's may be at work on what a function holds."""

    class Grows(int):
        def __repr__(self) -> str:
            if kind is set:
                held.add(len(held) + 10)
            elif kind is dict:
                held[len(held) + 10] = 1
            else:
                held.append(1)
            return str(int(self))

    held: Any = {Grows(1): Grows(2)} if kind is dict else kind([Grows(1), Grows(2)])

    def function() -> Any:
        return held

    assert code_digest(function)
    assert len(held) > 2
