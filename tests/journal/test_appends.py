"""What may be appended and by whom; what is refused or fails leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from alma.core.events import Failure, OperationFailed, OperationSucceeded
from alma.core.secret import Secret
from alma.errors import JournalError, RunNotFoundError, StaleEpochError
from alma.journal.store import Writer
from tests.journal.tools import a_run, created, intended, open_at, succeeded


def test_a_run_is_created_once(path: Path) -> None:
    """A second run with the same id is refused, and nothing is added."""
    with a_run(path) as (journal, lease):
        with pytest.raises(JournalError, match="already"):
            journal.create_run("r1", created(), lease)
        assert len(journal.events("r1")) == 1


def test_a_run_must_be_created_first(path: Path) -> None:
    """An event of a run that does not exist is refused."""
    with (
        open_at(path, write=True) as journal,
        journal.acquire("shop/dev", "r1") as lease,
    ):
        with pytest.raises(RunNotFoundError, match="r1"):
            journal.append("r1", intended(), lease)
        assert journal.head().position == 0


def test_the_lease_must_be_that_of_the_run(path: Path) -> None:
    """Neither the lease of another run nor that of another target will do."""
    with (
        a_run(path) as (journal, _),
        journal.acquire("blog/dev", "r2") as blog,
        journal.acquire("wiki/dev", "r1") as wiki,
    ):
        with pytest.raises(StaleEpochError, match="not held for run r1"):
            journal.append("r1", intended(), blog)
        with pytest.raises(JournalError, match="Run r1 is of shop/dev"):
            journal.append("r1", intended(), wiki)
        with pytest.raises(JournalError, match="Run r2 is of shop/dev"):
            journal.create_run("r2", created("shop"), blog)
        assert journal.head().position == 1
        assert len(journal.runs()) == 1


def test_a_released_lease_may_not_append(path: Path) -> None:
    """Who gave the lease back is no runner any more."""
    with a_run(path) as (journal, lease):
        lease.release()
        with pytest.raises(StaleEpochError, match="not held"):
            journal.append("r1", intended(), lease)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), object(), b"bytes", {1, 2}, Secret("canary"), {("a",): 1}],
    ids=["nan", "inf", "object", "bytes", "set", "secret", "key"],
)
def test_what_json_cannot_hold_is_refused(path: Path, value: object) -> None:
    """A value that is no JSON is a typed error that shows no secret, and nothing is written."""
    event = replace(succeeded(), outputs={"nested": {"x": [value]}})
    with a_run(path) as (journal, lease):
        with pytest.raises(JournalError, match="OperationSucceeded cannot be written") as caught:
            journal.append("r1", event, lease)
        assert "canary" not in str(caught.value)
        assert journal.append("r1", intended(), lease).seq == 2


def test_a_large_event_does_not_break(path: Path) -> None:
    """Eight megabytes in one event are slow, not wrong."""
    event = replace(succeeded(), outputs={"blob": 'ü"\n' * 2_000_000})
    with a_run(path) as (journal, lease):
        journal.append("r1", event, lease)
        assert journal.events("r1")[-1].event == event
        assert journal.verify().ok


def test_half_a_surrogate_pair_is_kept(path: Path) -> None:
    """A message decoded from bytes that are no UTF-8 is recorded as it is."""
    failure = Failure(kind="program", message="broken \udcff pipe")
    event = OperationFailed(step="database", operation="o-1", kind="up", failure=failure)
    with a_run(path) as (journal, lease):
        journal.append("r1", event, lease)
        assert journal.events("r1")[-1].event == event
        assert journal.verify().ok


def test_a_failed_append_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a commit that failed, the next event takes the same place in run and chain."""
    with a_run(path) as (journal, lease):
        before = journal.head()
        write = journal._store.write

        def interrupted(what: str, work: Callable[[Writer], object]) -> object:
            def half(writer: Writer) -> None:
                work(writer)
                raise KeyboardInterrupt

            return write(what, half)

        with monkeypatch.context() as patch:
            patch.setattr(journal._store, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append("r1", intended(), lease)
        assert journal.head() == before
        assert journal.append("r1", intended(), lease).seq == 2
        assert journal.verify().ok


def test_evidence_of_any_json_comes_back(path: Path) -> None:
    """Tuples become lists, as JSON has it; nothing else changes."""
    event = OperationSucceeded(
        step="database", operation="o-1", kind="destroy", evidence={"list": (1, "a", None, 1e300)}
    )
    with a_run(path) as (journal, lease):
        journal.append("r1", event, lease)
        read = journal.events("r1")[-1].event
        assert read == replace(event, evidence={"list": [1, "a", None, 1e300]})
