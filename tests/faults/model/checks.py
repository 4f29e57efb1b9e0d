"""The invariants: what alma says, held against the world."""

from __future__ import annotations

from collections import Counter
from typing import Any

from alma import SagaState
from alma.core import events as ev
from alma.core.result import Result, exit_code
from alma.core.run import RunStatus
from alma.journal import Journal
from tests.faults.model.case import CANARY
from tests.faults.model.stage import Before, Stage

FORWARD = ("up", "action")


def check_journal(
    stage: Stage,
    reader: Journal,
    earlier: dict[tuple[str, int], str],
    recorded: dict[str, list[ev.Recorded]],
) -> None:
    """5 and 7: whole, only ever added to, one completion for each epoch; 12: no secret in it."""
    verdict = reader.verify()
    if verdict.first_break is not None:
        stage.fail(f"the journal's chain is broken: {verdict.first_break}")
    now = {(entry.run, entry.seq): entry.hash for run in recorded.values() for entry in run}
    if any(now.get((run, seq)) != digest for (run, seq), digest in earlier.items()):
        stage.fail("what was in the journal is not in it any more")
    for run, entries in recorded.items():
        if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)):
            stage.fail(f"run {run} has gaps")
        done = Counter(
            (entry.event.step, entry.epoch)
            for entry in entries
            if isinstance(entry.event, ev.OperationSucceeded) and entry.event.kind in FORWARD
        )
        if any(count > 1 for count in done.values()):
            stage.fail(f"a step of {run} completed twice under one lease: {done}")
    for path in stage.journal.parent.rglob("*"):
        if path.is_file() and CANARY.encode() in path.read_bytes():
            stage.fail(f"a secret is in {path.name}")


def check_state(
    stage: Stage, status: RunStatus, result: Result | None, error: BaseException | None
) -> None:
    """6 and 13: one truth; then what the state promises of the world."""
    drives = stage.turn.op not in ("skip", "abandon")
    if drives and result and not error and result.state is not SagaState.COMPLETED:
        stage.fail(f"returned as if it were well: {result.state.name}")
    if result is not None:
        if result.run_id == status.run and result.status != status:
            stage.fail(f"reported {result.status}, but the journal says {status}")
        code = getattr(error, "exit_code", result.exit_code)
        broken = stage.turn.journal or stage.turn.takeover
        expected = exit_code(status.state, interrupted=not status.state.is_final)
        if code != expected and not broken:
            stage.fail(f"exit code {code} for {status.state.name}")
    before = stage.before[status.run]
    if status.state is SagaState.COMPENSATED:
        _check_undone(stage, status, before)
    elif status.state is SagaState.COMPLETED:
        (_check_gone if status.kind == "destroy" else _check_complete)(stage, status)
    elif status.state is SagaState.FAILED:
        _check_named(stage, status, before)


def _check_undone(stage: Stage, status: RunStatus, before: Before) -> None:
    """1 and 9: nothing of this run, and all that was there before."""
    if stage.reality.at_work:
        stage.fail(f"COMPENSATED while pulumi is at work on {list(stage.reality.at_work)}")
    # Things are known by URN here: what was lost to every state before is another one than what
    # this run makes under the same name, and whether that one is there cannot be told.
    extra = stage.reality.things - before.things
    lost = before.things - stage.reality.things - before.traceless
    if extra or lost:
        stage.fail(f"COMPENSATED, but there is {sorted(extra)} and there is no more {sorted(lost)}")
    for key, state in stage.reality.states.items():
        old = before.states.get(key)
        if old is None and not (state.is_empty and _retained(stage, key[0])):
            stage.fail(f"COMPENSATED, but the record {key} that it made is there")
        elif old is not None and old.fingerprint != state.fingerprint:
            stage.fail(f"COMPENSATED, but {key} is not as it was: {state}")
    if gone := set(before.states) - set(stage.reality.states):
        stage.fail(f"COMPENSATED, but the records {gone} were there before")
    if done := [name for run, name in stage.present if run == status.run]:
        stage.fail(f"COMPENSATED, but the actions {done} are not undone")


def _retained(stage: Stage, project: str) -> bool:
    """An empty record stays where the step asks for its stack to be retained."""
    steps = enumerate(stage.case.steps)
    return any(s.undo == "retain" and stage.case.project(i) == project for i, s in steps)


def _check_complete(stage: Stage, status: RunStatus) -> None:
    """2: every stack equals its program."""
    for index, step in enumerate(stage.case.steps):
        name = stage.case.name(index)
        if name not in status.steps:
            continue
        if step.kind == "action":
            if (status.run, name) not in stage.present:
                stage.fail(f"COMPLETED, but {name} is not done")
            continue
        state = stage.state(index)
        held = {resource.urn for resource in state.resources}
        if not state.exists or held != stage.wanted(index) or state.pending:
            stage.fail(f"COMPLETED, but {name} holds {state}")
        if stage.things(index) != stage.wanted(index):
            stage.fail(f"COMPLETED, but of {name} there is {stage.things(index)}")


def _check_gone(stage: Stage, status: RunStatus) -> None:
    """1, of a destroy: nothing of its steps is there."""
    for index, step in enumerate(stage.case.steps):
        name = stage.case.name(index)
        if name not in status.steps:
            continue
        if step.kind == "stack":
            traceless = stage.leaked & stage.things(index)
            if stage.things(index) - traceless or not stage.state(index).is_empty:
                stage.fail(f"destroyed, but of {name} there is {stage.things(index)}")
            if status.remove_records and stage.state(index).exists:
                stage.fail(f"destroyed, but the record of {name} is there")
        elif step.undo != "none" and any(s == name for _, s in stage.present):
            stage.fail(f"destroyed, but {name} is not undone")


def _check_named(stage: Stage, status: RunStatus, before: Before) -> None:
    """11: everything that is left is named; what a CLI still does counts as well."""
    stage.reality.at_work = {key: work for key, work in stage.reality.at_work.items() if work}
    for key in list(stage.reality.at_work):
        stage.reality.land(key)
    left = status.leftovers
    whole = {item.step for item in left if not item.urn}
    named = {item.urn for item in left}
    old = before if status.kind == "up" else None
    for index, step in enumerate(stage.case.steps):
        name = stage.case.name(index)
        if name in whole or name not in status.steps:
            continue
        if step.kind == "action":
            mine = {r for r, s in stage.present if s == name}
            if (status.kind == "up" and status.run in mine) or (
                status.kind == "destroy" and mine and step.undo != "none"
            ):
                stage.fail(f"FAILED, and {name} is left and not named")
            continue
        things = stage.things(index) - (old.things if old else frozenset())
        if status.kind == "destroy":
            things -= stage.leaked
        pending = {item.urn for item in stage.state(index).pending}
        if old and (state := old.states.get((stage.case.project(index), "dev"))):
            pending -= {item.urn for item in state.pending}
        if missing := (things | pending) - named:
            stage.fail(f"FAILED, and {sorted(missing)} is left and not named: {left}")


def check_quiet(stage: Stage, status: RunStatus) -> SagaState | None:
    """What a resume without faults must reach, where that can be told without alma's rule book."""
    if stage.reality.at_work or stage.leaked or stage.skipped:
        return None
    if any(state.pending for state in stage.reality.states.values()):
        return None
    if status.kind == "destroy":
        failed = any(step.state is SagaState.FAILED for step in status.steps.values())
        return None if failed or not _inputs_known(stage) else SagaState.COMPLETED
    if status.direction == "forward" and not any(
        step.state is SagaState.FAILED for step in status.steps.values()
    ):
        return SagaState.COMPLETED
    return None


def _inputs_known(stage: Stage) -> bool:
    """Whether every compensation can be given what it consumes: of a step never brought up none."""
    every = {stage.case.name(index) for index in range(len(stage.case.steps))}
    consumers = [s for s in stage.case.steps if s.consumes and s.after and s.undo != "none"]
    return not any(step.kind == "action" for step in consumers) or any(
        row[2] == "RunCompleted"
        and stage.kinds.get(row[0]) == "up"
        and stage.scope[row[0]] == every
        for row in stage.rows()
    )


def describe(violations: list[str]) -> Any:
    """For an assertion's message."""
    return "\n".join(violations)
