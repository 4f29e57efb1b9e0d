"""Every mutant still fits the code; that each is caught is shown by `nox -s faults`."""

from __future__ import annotations

import ast

import pytest

from tests.faults.mutants import MUTANTS, Mutant, StaleMutantError, caught_by, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_applies_and_is_still_python(mutant: Mutant) -> None:
    for text in mutated(mutant).values():
        ast.parse(text)


def test_a_stale_mutant_is_an_error() -> None:
    gone = Mutant("gone", (("core/state.py", "no such text", ""),))
    with pytest.raises(StaleMutantError, match="gone: 0 times in core/state"):
        mutated(gone)


def test_one_is_caught_and_sound_code_is_not() -> None:
    """So that "caught" means something: an edit that changes nothing is not caught."""
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    retries = by_name["retries are not bounded"]
    assert "tests/core/test_decide_forward.py::" in caught_by(retries)
    file, old, _ = retries.edits[0]
    assert caught_by(Mutant("sound", ((file, old, old),), retries.tests)) == ""
