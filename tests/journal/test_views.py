"""The views say of any run what `fold` says of its events."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from alma.core import events as ev
from alma.core.decide import (
    Compensate,
    Execute,
    Finish,
    Reconcile,
    StartCompensation,
    Suspend,
    decide,
)
from alma.core.definition import Definition, Retry, StepDefinition
from alma.core.run import RunStatus, SagaState
from alma.core.state import fold
from alma.journal import Journal, open_journal
from alma.journal.lease import Lease
from tests.journal.tools import Clock, a_run, intended, succeeded


@pytest.fixture(scope="module")
def suffix() -> str:
    """What is SQLite's own."""
    return ".db"


PROCESS = ev.Process(host="here", pid=1, started=1.0)


class World:
    """A runner that does nothing but draw what happened, in the order the real one records it."""

    def __init__(self, journal: Journal, data: st.DataObject, definition: Definition) -> None:
        self.journal, self.data, self.definition = journal, data, definition
        self.numbers = itertools.count(1)
        self.lease: Lease | None = None
        self.kind: ev.RunKind = data.draw(st.sampled_from(["up", "destroy"]))

    def record(self, *happened: ev.Event) -> None:
        assert self.lease is not None
        for event in happened:
            self.journal.append("r1", event, self.lease)

    def status(self) -> RunStatus:
        return fold(self.journal.events("r1"))

    def attach(self) -> None:
        if self.lease is not None:
            self.lease.release()
        self.lease = self.journal.acquire(self.definition.target, "r1")
        if not self.journal.runs():
            event = ev.RunCreated(
                saga="shop",
                stack="dev",
                kind=self.kind,
                definition=self.definition.to_json(),
                digest="",
            )
            self.journal.create_run("r1", event, self.lease)
            if self.data.draw(st.booleans()):
                return  # it died before the next event
        self.record(ev.RunnerAttached(process=PROCESS, actor="jane"))

    def resume(self, run: RunStatus) -> bool:
        """Whether somebody took the run up again."""
        if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
            return False
        directions: list[ev.Direction] = (
            ["back"] if run.direction == "back" or self.kind == "destroy" else []
        )
        if run.direction == "forward" and self.kind == "up":
            directions = ["forward", "back"]
        direction = self.data.draw(st.sampled_from(directions))
        changed = self.definition.to_json() if self.data.draw(st.booleans()) else None
        self.attach()
        self.record(ev.RunResumed(direction=direction, actor="jane", definition=changed))
        return True

    def act(self, step: str, attempt: int, kind: ev.OperationKind) -> None:
        operation = f"o-{next(self.numbers)}"
        named: dict[str, Any] = {"step": step, "operation": operation}
        if self.status().steps[step].started is None and kind == "up":
            self.record(ev.StepStarted(step=step, project="p", stack="dev"))
        self.record(ev.OperationIntended(**named, kind=kind, attempt=attempt, log="log"))
        outcome = self.data.draw(st.sampled_from(["good", "good", "bad", "fatal", "lost", "doubt"]))
        if outcome == "good":
            self.record(ev.OperationSucceeded(**named, kind=kind, seconds=1.5))
            if kind != "up":
                self.record(ev.StepCompensated(step=step, how="destroyed"))
        elif outcome in ("bad", "fatal"):
            why = ev.Failure(kind="cancelled" if outcome == "fatal" else "provider", message="no")
            left = (ev.Leftover(step=step, urn="urn:x"),) if kind != "up" else ()
            self.record(
                ev.OperationFailed(**named, kind=kind, failure=why, seconds=0.5, leftovers=left)
            )
        else:
            if outcome == "doubt":
                self.record(ev.OperationLeftInDoubt(**named, reason="killed"))
            self.attach()

    def undo(self, step: str, attempt: int) -> None:
        how = self.data.draw(st.integers(0, 5))
        if how > 1 or self.kind == "destroy":
            self.act(step, attempt, "destroy")
            return
        if how == 1:
            self.record(ev.StepSkipped(step=step, actor="jane", reason="by hand"))
        left = (ev.Leftover(step=step, reason="kept"),)
        self.record(ev.StepRetained(step=step, reason="retain", leftovers=left))

    def go(self) -> None:
        """One command, or the end of this runner."""
        run = self.status()
        commands = decide(run)
        if not commands or run.state is SagaState.PENDING:
            if run.state is SagaState.PENDING:
                self.attach()
            return
        match self.data.draw(st.sampled_from(commands)):
            case Execute(step, attempt):
                self.act(step, attempt, "up")
            case Compensate(step, attempt):
                self.undo(step, attempt)
            case Reconcile(step):
                operation = run.steps[step].open
                assert operation is not None
                self.record(
                    ev.OperationReconciled(step=step, operation=operation.id, found="nothing")
                )
            case StartCompensation(reason, failed):
                self.record(ev.CompensationStarted(reason=reason, failed_step=failed))
            case Finish(state, reason):
                left = tuple(each for step in run.steps.values() for each in step.leftovers)
                self.record(
                    {
                        SagaState.COMPLETED: ev.RunCompleted(),
                        SagaState.COMPENSATED: ev.RunCompensated(),
                        SagaState.FAILED: ev.RunFailed(reason=reason, leftovers=left),
                    }[state]
                )
            case Suspend(reason):
                self.record(ev.RunInterrupted(reason=reason))


def rows(journal: Journal, view: str) -> list[dict[str, Any]]:
    """As another tool sees them: alma itself reads no view."""
    with closing(sqlite3.connect(f"{journal.path.as_uri()}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(f"SELECT * FROM {view}")  # noqa: S608
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def definitions() -> st.SearchStrategy[Definition]:
    retry = st.builds(Retry, attempts=st.integers(1, 2), delay=st.just(0.0))
    names = ("a", "b", "c")

    def steps(count: int) -> st.SearchStrategy[tuple[StepDefinition, ...]]:
        return st.tuples(
            *(
                st.builds(
                    StepDefinition,
                    name=st.just(names[index]),
                    kind=st.just("stack"),
                    dependencies=st.sets(st.sampled_from(names[:index]), max_size=2).map(tuple)
                    if index
                    else st.just(()),
                    retry=retry,
                    compensation_retry=retry,
                )
                for index in range(count)
            )
        )

    return st.builds(
        Definition,
        saga=st.just("shop"),
        stack=st.just("dev"),
        steps=st.integers(1, 3).flatmap(steps),
        on_failure=st.sampled_from(["compensate", "compensate", "stop"]),
    )


@settings(max_examples=30, deadline=None)
@given(data=st.data(), definition=definitions(), length=st.integers(0, 25))
def test_the_views_agree_with_the_fold(
    data: st.DataObject,
    definition: Definition,
    length: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """At whatever point of whatever run: states, attempts, seconds, errors and leftovers."""
    path = tmp_path_factory.mktemp("views") / "journal.db"
    with open_journal(path, write=True, clock=Clock()) as journal:
        world = World(journal, data, definition)
        world.attach()
        for _ in range(length):
            run = world.status()
            over = run.state.is_final or (data.draw(st.integers(0, 9)) == 0)
            if over and run.state is not SagaState.PENDING and not world.resume(run):
                break
            world.go()
        assert world.lease is not None
        world.lease.release()
        compare(journal, world.status())


def compare(journal: Journal, run: RunStatus) -> None:
    (state,) = rows(journal, "run_states")
    assert (state["run"], state["saga"], state["kind"]) == ("r1", "shop", run.kind)
    assert (state["state"], state["events"]) == (run.state.name, run.seq)
    assert (state["ended_at"] is not None) == run.state.is_final
    steps = rows(journal, "steps")
    assert [row["step"] for row in steps] == list(run.steps)
    assert [row["number"] for row in steps] == list(range(1, len(steps) + 1))
    for row in steps:
        step = run.steps[row["step"]]
        assert row["state"] == step.state.name
        assert row["seconds"] == step.seconds
    assert [
        {key: row[key] for key in ("step", "stack", "urn", "id", "reason")}
        for row in rows(journal, "leftovers")
    ] == [asdict(left) for left in run.leftovers]
    entries = journal.events("r1")
    attempts = [entry for entry in entries if isinstance(entry.event, ev.OperationIntended)]
    operations = rows(journal, "operations")
    assert [row["seq"] for row in operations] == [entry.seq for entry in attempts]
    for step in run.steps.values():
        open_now = [
            row["operation"]
            for row in operations
            if row["step"] == step.name and row["outcome"] in ("open", "in doubt")
        ]
        assert (step.open.id if step.open else None) == (open_now[-1] if open_now else None)
    assert [(row["seq"], row["type"]) for row in rows(journal, "history")] == [
        (entry.seq, entry.event.type) for entry in entries
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_an_operation_shows_its_outcome(path: Path) -> None:
    """Intent and outcome in one row: kind, attempt, seconds, what went wrong."""
    failed = ev.OperationFailed(
        step="database",
        operation="o-2",
        kind="up",
        failure=ev.Failure(kind="provider", message="quota"),
        seconds=2.5,
    )
    doubt = ev.OperationLeftInDoubt(step="database", operation="o-3", reason="killed")
    with a_run(path) as (journal, lease):
        for event in (
            *(intended(1), succeeded(1)),
            *(intended(2), failed),
            *(intended(3), doubt),
            intended(4),
        ):
            journal.append("r1", event, lease)
        found = rows(journal, "operations")
    assert [row["outcome"] for row in found] == ["succeeded", "failed", "in doubt", "open"]
    assert [row["attempt"] for row in found] == [1, 2, 3, 4]
    assert [row["seconds"] for row in found] == [1.5, 2.5, None, None]
    assert (found[1]["error_kind"], found[1]["error"]) == ("provider", "quota")


def test_an_operation_id_that_is_used_again_keeps_its_outcomes_apart(path: Path) -> None:
    """Each intent is paired with what came before the next one of the same id."""
    with a_run(path) as (journal, lease):
        for event in (
            intended(1),
            ev.OperationReconciled(step="database", operation="o-1", found="nothing"),
            *(intended(1), succeeded(1)),
        ):
            journal.append("r1", event, lease)
        assert [row["outcome"] for row in rows(journal, "operations")] == [
            "reconciled",
            "succeeded",
        ]


def test_steps_count_attempts_and_undos_apart(path: Path) -> None:
    """How often a step was tried, how often its undo, and its last error."""
    undo = ev.OperationIntended(step="database", operation="o-9", kind="destroy")
    failed = ev.OperationFailed(
        step="database",
        operation="o-9",
        kind="destroy",
        failure=ev.Failure(kind="provider", message="busy"),
    )
    with a_run(path) as (journal, lease):
        for event in (intended(1), intended(2), undo, failed):
            journal.append("r1", event, lease)
        first, second = rows(journal, "steps")
    assert (first["attempts"], first["undo_attempts"], first["last_error"]) == (2, 1, "busy")
    assert (second["state"], second["attempts"], second["last_error"]) == ("PENDING", 0, None)


def test_leftovers_are_those_of_the_end(path: Path) -> None:
    """Once a failed run is taken up again its leftovers are no longer the last word."""
    left = ev.Leftover(step="database", stack="dev", urn="urn:x", id="db-1", reason="in use")
    with a_run(path) as (journal, lease):
        journal.append("r1", ev.RunnerAttached(process=PROCESS, actor="jane"), lease)
        journal.append("r1", ev.RunFailed(reason="no", leftovers=(left,)), lease)
        (row,) = rows(journal, "leftovers")
        assert {key: row[key] for key in asdict(left)} == asdict(left)
        journal.append("r1", ev.RunResumed(direction="back", actor="jane"), lease)
        assert rows(journal, "leftovers") == []
