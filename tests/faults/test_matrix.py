"""The matrix is complete, and what it names is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX, Row

TESTS = Path(__file__).parents[1]


@cache
def _tests_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in tree.body if isinstance(node, functions)}


def test_no_row_is_missing() -> None:
    numbers = [row.number for row in MATRIX]
    assert numbers == sorted(set(numbers))
    assert set(range(1, 29)) <= set(numbers)


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row.number:02}")
def test_every_row_names_tests_that_exist(row: Row) -> None:
    assert row.real
    for name in (*row.real, *row.model):
        file, _, function = name.partition("::")
        assert function in _tests_in(file), name
