"""What nobody can do ends at once, and what another worker can do does not."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from alma.errors import (
    AuthenticationError,
    BackendError,
    BrokenJournalError,
    JournalError,
    RunnerBusyError,
    RunNotFoundError,
    StaleEpochError,
    UnavailableJournalError,
    UntrustedJournalError,
)
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.runner import up
from alma.runner.temporal.failures import translated
from alma.runner.temporal.following import Followed
from alma.runner.temporal.here import OtherCodeError, UnwantedError
from alma.runner.temporal.looking_on import _why
from alma.runner.temporal.orders import REFUSED
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import settings, three
from tests.temporal.stage import Stage
from tests.waiting import until

CUT = [Fault(project="s-b", operation="up", effect="crash", after=1)]
AGAIN = 0
"""In the place of an exit code: Temporal tries again."""


@pytest.mark.parametrize(
    ("error", "beginning", "later"),
    [
        (UnavailableJournalError("x"), AGAIN, AGAIN),
        (BrokenJournalError("x"), 11, 11),
        (UntrustedJournalError("x"), 11, 11),
        (JournalError("of a newer alma"), 11, AGAIN),
        (RunNotFoundError("x"), 6, AGAIN),
        (OtherCodeError("x"), AGAIN, AGAIN),
        (UnwantedError(), AGAIN, AGAIN),
        (RunnerBusyError("x"), 11, 11),
        (AuthenticationError("x"), 3, 3),
        (BackendError("x"), 1, 1),
        (OSError(28, "No space left on device"), 1, AGAIN),
        (ZeroDivisionError("x"), 255, AGAIN),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else str(one),
)
def test_who_tries_again_and_with_what_code_a_run_ends(
    error: Exception, beginning: int, later: int
) -> None:
    for is_beginning, wanted in ((True, beginning), (False, later)):
        said: list[str] = []
        with (
            pytest.raises(ApplicationError) as raised,
            translated(said.append, beginning=is_beginning),
        ):
            raise error
        assert raised.value.non_retryable == (wanted != AGAIN)
        assert raised.value.details == ((wanted,) if wanted != AGAIN else ())
        # Its words are for who looks at the worker, and never for Temporal.
        assert raised.value.message == ""
        assert raised.value.__cause__ is None
        assert bool(said) == (not isinstance(error, UnwantedError))


def test_what_the_system_refuses_is_a_sentence_for_who_waits_and_a_trace_for_the_worker() -> None:
    said: list[str] = []
    with pytest.raises(ApplicationError), translated(said.append, beginning=True):
        raise OSError(28, "No space left on device", "/var/alma")
    trace, words = said
    assert trace.startswith("Traceback")
    assert words == "The system refused: /var/alma No space left on device."


async def test_a_refusal_says_that_nothing_was_begun_of_a_new_run_alone(tmp_path: Path) -> None:
    here = settings(FakeEngine(faults=CUT), tmp_path / "journal.db")
    with pytest.raises(Crash):
        await up(three(), settings=here)
    error = WorkflowFailureError(cause=ApplicationError("", 2, type=REFUSED))
    with open_journal(tmp_path / "journal.db", write=False) as reader:
        run = load_run(reader, reader.resolve("latest"))
        new = _why(error, "alma/s/dev", Followed(reader, "another", None, None), here)
        half_way = _why(error, "alma/s/dev", Followed(reader, run.run, run, None), here)
    assert (new.exit_code, new.hint) == (2, "Nothing was begun.")
    assert half_way.exit_code == 2
    assert "Nothing was begun" not in half_way.hint
    assert "It has gone no further. Go on with `alma-pulumi resume" in half_way.hint


def test_a_lease_that_is_another_ones_by_now_ends_the_workflow() -> None:
    with pytest.raises(ApplicationError) as raised, translated(lambda _words: None):
        raise StaleEpochError("x")
    assert (raised.value.type, raised.value.non_retryable) == ("superseded", True)


def test_what_a_journal_says_is_of_a_kind(tmp_path: Path) -> None:
    """By which it is decided: a file that is damaged, or of a newer alma."""
    path = tmp_path / "journal.db"
    open_journal(path, write=True).close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer alma") as newer:
        open_journal(path, write=True)
    assert type(newer.value) is JournalError
    writer.close()
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    with pytest.raises(BrokenJournalError):
        open_journal(path, write=True)


def test_a_journal_that_cannot_be_trusted_ends_a_run_before_it_begins(stage: Stage) -> None:
    """It has become so after `up` has looked at it, and before a worker does."""
    worker = stage.worker()
    assert stage.up().returncode == 0, stage.said()
    worker.send_signal(signal.SIGSTOP)
    up = stage.begin()
    until(lambda: _state(stage, 1) == "RUNNING", "its workflow waits")
    with sqlite3.connect(stage.journal) as writer:
        writer.execute("UPDATE seals SET mac = 'another'")
    writer.close()
    worker.send_signal(signal.SIGCONT)
    assert stage.ended(up) == 11, stage.said()
    until(lambda: _state(stage, 1) == "FAILED", "its workflow is closed")
    assert stage.said().count("was not written with a key of yours") == 1
    assert stage.notes == ["do a", "do b", "do c"]


def _state(stage: Stage, before: int) -> str:
    """Of its newest workflow, once there are more of it than `before`."""
    query = f'WorkflowId = "alma/{stage.target}"'
    found = json.loads(stage.temporal.cli("workflow", "list", "--query", query, "-o", "json"))
    return found[0]["status"].rpartition("_")[2] if len(found) > before else ""
