"""The runs of a journal: listed newest first, found by id, by a prefix or as `latest`."""

from __future__ import annotations

from pathlib import Path

import pytest

from alma.errors import RunNotFoundError
from tests.journal.tools import created, fill, open_at


def test_runs_are_listed_newest_first(path: Path) -> None:
    """`runs` gives the newest first, up to the limit, or all of them."""
    fill(path)
    with open_at(path, write=False) as journal:
        assert [row.run for row in journal.runs()] == ["r3", "r2", "r1"]
        assert [row.run for row in journal.runs(limit=1)] == ["r3"]
        assert [row.run for row in journal.runs(limit=None)] == ["r3", "r2", "r1"]


def test_runs_of_one_target(path: Path) -> None:
    """`target` leaves out the runs of all others."""
    fill(path)
    with open_at(path, write=False) as journal:
        assert [row.run for row in journal.runs(target="shop/dev")] == ["r3", "r1"]
        assert journal.runs(target="shop/prod") == []


def test_a_run_by_its_id(path: Path) -> None:
    """`run` tells a run's target, kind and time."""
    fill(path)
    with open_at(path, write=False) as journal:
        row = journal.run("r2")
        assert (row.target, row.saga, row.stack, row.kind) == ("blog/dev", "blog", "dev", "up")
        with pytest.raises(RunNotFoundError, match="r9"):
            journal.run("r9")


def named(path: Path, *runs: str) -> None:
    with open_at(path, write=True) as journal:
        for run in runs:
            with journal.acquire("shop/dev", run) as lease:
                journal.create_run(run, created(), lease)


@pytest.mark.parametrize(
    ("reference", "run"),
    [("latest", "2026-b"), ("2026-a", "2026-a"), ("2026-ab", "2026-ab"), ("2026-b", "2026-b")],
)
def test_a_reference_finds_its_run(path: Path, reference: str, run: str) -> None:
    """`latest`, a whole id (even where it begins another one) and a unique prefix."""
    named(path, "2026-a", "2026-ab", "2025-x", "2026-b")
    with open_at(path, write=False) as journal:
        assert journal.resolve(reference) == run
        assert journal.resolve("2025") == "2025-x"


@pytest.mark.parametrize("reference", ["", "3", "2026-é", "%", "_", "2026-a\x00", "'"])
def test_a_reference_that_fits_nothing_names_the_newest(path: Path, reference: str) -> None:
    """No run: the error names the ids that there are."""
    named(path, "2026-a", "2026-b")
    with (
        open_at(path, write=False) as journal,
        pytest.raises(RunNotFoundError, match="2026-b, 2026-a"),
    ):
        journal.resolve(reference)


def test_an_ambiguous_reference_names_the_candidates(path: Path) -> None:
    """Several runs: the error names up to five of them."""
    named(path, *(f"2026-{number}" for number in range(7)))
    with (
        open_at(path, write=False) as journal,
        pytest.raises(RunNotFoundError, match=r"2026-0, 2026-1, 2026-2, 2026-3, 2026-4, \.\.\."),
    ):
        journal.resolve("2026")


def test_no_runs_yet(path: Path) -> None:
    """In an empty journal even `latest` is not found."""
    with (
        open_at(path, write=False) as journal,
        pytest.raises(RunNotFoundError, match="no runs"),
    ):
        journal.resolve("latest")
