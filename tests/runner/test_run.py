"""Whole runs over the fake engine and a real journal: semantics of failure, undo and resume."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alma import Context, Retry, Saga, SagaFailed, SagaInterrupted, SagaState, Secret
from alma.core import events as ev
from alma.core.state import fold
from alma.errors import DefinitionError, JournalError, RefusedError, RunnerBusyError
from alma.journal.journal import Journal
from alma.journal.leftovers import proven_gone
from alma.runner.intervene import abandon, skip
from alma.runner.start import destroy, resume, rollback, up
from alma.testing import Crash, FakeEngine, FakeProgram, Fault
from tests.runner.helpers import ended, history, program, settings, types, until


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def three(**options: Any) -> Saga:
    saga = Saga("s", **options)
    a = saga.add_stack("a", program=program)
    b = saga.add_stack("b", program=program, inputs={"url": a.output("url")})
    saga.add_stack("c", program=program, inputs={"url": b.output("url")})
    return saga


async def test_all_stacks_go_up_in_order(journal: Path) -> None:
    """COMPLETED, with the outputs by step."""
    engine = FakeEngine()
    result = await up(three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert result.outputs["c"]["url"] == "fake://"
    assert engine.calls == [("up", "s-a"), ("up", "s-b"), ("up", "s-c")]


async def test_a_failure_undoes_everything_and_leaves_an_empty_world(journal: Path) -> None:
    """The failed step first, then in reverse; verified; the records that it made are gone."""
    engine = FakeEngine(faults=[Fault(project="s-c", operation="up", after=1)])
    with pytest.raises(SagaFailed, match="fault injected at two") as caught:
        await up(three(), settings=settings(engine, journal))
    assert caught.value.result.state is SagaState.COMPENSATED
    assert caught.value.exit_code == 4
    assert engine.world == {}
    destroys = [project for operation, project in engine.calls if operation == "destroy"]
    assert destroys == ["s-c", "s-b", "s-a"]


async def test_every_effect_has_its_intent_before_it(journal: Path) -> None:
    """Each outcome in the journal follows the intent of the same operation."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=1)])
    await ended(up(three(), settings=settings(engine, journal)))
    open_: set[str] = set()
    for entry in history(journal):
        event = entry.event
        if isinstance(event, ev.OperationIntended):
            open_.add(event.operation)
        if isinstance(event, ev.OperationSucceeded | ev.OperationFailed):
            open_.remove(event.operation)
    assert not open_


async def test_a_lying_destroy_is_not_believed(journal: Path) -> None:
    """A successful destroy over what is still in the state is FAILED, and names it."""
    faults = [
        Fault(project="s-b", operation="up", after=1),
        Fault(project="s-b", operation="destroy", effect="lie", after=0),
    ]
    engine = FakeEngine(faults=faults)
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert result.exit_code == 10
    urns = {left.urn.rpartition("::")[2] for left in result.leftovers if left.step == "b"}
    assert urns == {"one"}
    assert {left.step for left in result.leftovers} == {"a", "b"}


async def test_a_pending_create_is_never_clean(journal: Path) -> None:
    """Destroy succeeds over a pending operation; the run must not."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="pending", after=1)])
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert any("creating" in left.reason for left in result.leftovers)


async def test_what_has_nothing_to_undo_is_no_leftover_when_it_was_held_up(journal: Path) -> None:
    """The author's word holds, whether its turn to be undone came or not."""
    engine = FakeEngine(
        faults=[
            Fault(project="s-a", operation="up", after=1),
            Fault(project="s-a", operation="destroy"),
        ]
    )
    saga = Saga("s")
    saga.add_step("check", action=lambda: None, compensation="none")
    saga.add_stack("a", program=program)
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a"}


async def test_a_failed_undo_is_retried_by_its_own_policy(journal: Path) -> None:
    """compensation_retry, apart from the action's."""
    faults = [
        Fault(project="s-a", operation="up", after=1),
        Fault(project="s-a", operation="destroy", nth=1),
        Fault(project="s-a", operation="destroy", nth=2),
    ]
    engine = FakeEngine(faults=faults)
    saga = Saga("s")
    saga.add_stack("a", program=program, compensation_retry=Retry(attempts=3, delay=0))
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.counts["destroy", "s-a"] == 3


async def test_an_action_is_retried_and_then_completes(journal: Path) -> None:
    """Retry counts attempts of the action."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program, retry=Retry(attempts=2, delay=0))
    result = await up(saga, settings=settings(engine, journal))
    assert result.status.steps["a"].tries == 2


async def test_a_stack_that_existed_before_is_put_back(journal: Path) -> None:
    """Changed by this run: restored to what it held, never destroyed."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=0)])
    engine.existing("s-a", "dev", "one")
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["a"].how == "restored"
    assert ("destroy", "s-a") not in engine.calls
    assert [one.urn.rpartition("::")[2] for one in engine.world["s-a", "dev"].resources] == ["one"]
    assert {urn.rpartition("::")[2] for urn in engine.reality.things} == {"one"}


async def test_an_up_that_changed_nothing_needs_no_undo(journal: Path) -> None:
    """It existed and is the same: clean, and untouched."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=0)])
    engine.existing("s-a", "dev", "one", "two")
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["a"].how == "unchanged"
    assert set(engine.world) == {("s-a", "dev")}


async def test_a_record_that_was_there_before_is_kept(journal: Path) -> None:
    """Only a record that this run made is removed."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    engine.existing("s-a", "dev")
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world["s-a", "dev"].is_empty


async def test_policy_stop_names_everything_and_rollback_undoes_it(journal: Path) -> None:
    """on_failure="stop": FAILED and looked at; a later rollback ends COMPENSATED."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=1)])
    result = await ended(up(three(on_failure="stop"), settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a", "b"}
    undone = await ended(rollback(settings=settings(engine, journal)))
    assert undone.state is SagaState.COMPENSATED
    assert engine.world == {}


async def test_resume_after_stop_goes_forward(journal: Path) -> None:
    """The failed step is tried again, the completed one is not."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", after=1)])
    saga = three(on_failure="stop")
    await ended(up(saga, settings=settings(engine, journal)))
    result = await resume(saga=saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert engine.counts["up", "s-a"] == 1


async def test_retain_leaves_the_stack_and_names_it(journal: Path) -> None:
    """compensation="retain" opts a step out of the undo."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program, compensation="retain")
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert [left.id for left in result.leftovers] == ["s-a-one"]
    assert ("destroy", "s-a") not in engine.calls


async def test_a_stack_s_own_compensation_is_called_before_its_destroy(journal: Path) -> None:
    """To drain or to empty; the state is verified all the same."""
    engine = FakeEngine(faults=[Fault(project="s-a", operation="up", after=1)])
    held: list[int] = []
    saga = Saga("s")
    saga.add_stack(
        "a",
        program=program,
        compensation=lambda: held.append(len(engine.world["s-a", "dev"].resources)),
    )
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert held == [1]
    assert result.state is SagaState.COMPENSATED


async def test_destroy_takes_all_down_and_keeps_the_records(journal: Path) -> None:
    """A run of its own, in reverse; the records go only when asked."""
    engine = FakeEngine()
    await up(three(), settings=settings(engine, journal))
    result = await destroy(three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert [key for key in engine.calls if key[0] == "destroy"] == [
        ("destroy", "s-c"),
        ("destroy", "s-b"),
        ("destroy", "s-a"),
    ]
    assert all(state.is_empty for state in engine.world.values())
    await destroy(three(), settings=settings(engine, journal), remove=True)
    assert engine.world == {}


CRASHES = [
    Fault(project="s-b", operation="up", effect="crash", after=0),
    Fault(project="s-b", operation="up", effect="crash", after=1),
    Fault(project="s-b", operation="up", effect="crash", after=2),
    Fault(project="s-b", operation="inspect", effect="crash"),
]


@pytest.mark.parametrize("fault", CRASHES)
async def test_a_run_that_died_going_forward_is_resumed_to_its_end(
    journal: Path, fault: Fault
) -> None:
    """Same end as undisturbed; the steps already done are not touched again."""
    engine = FakeEngine(faults=[fault])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await resume(saga=three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert engine.counts["up", "s-a"] == 1
    assert all(len(state.resources) == 2 for state in engine.world.values())


@pytest.mark.parametrize("fault", CRASHES)
async def test_a_run_that_died_going_forward_can_be_rolled_back(
    journal: Path, fault: Fault
) -> None:
    """Without its program: the journal and the state are enough."""
    engine = FakeEngine(faults=[fault])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}


@pytest.mark.parametrize("operation", ["destroy", "remove"])
@pytest.mark.parametrize("after", [0, 1])
async def test_a_run_that_died_going_back_goes_on_going_back(
    journal: Path, operation: Any, after: int
) -> None:
    """At any point of the undo of any step."""
    faults = [
        Fault(project="s-c", operation="up", after=1),
        Fault(project="s-b", operation=operation, effect="crash", after=after),
    ]
    engine = FakeEngine(faults=faults)
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await ended(resume(settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}


async def test_a_finished_run_is_not_run_again(journal: Path) -> None:
    """Resume of it only reports."""
    engine = FakeEngine()
    saga = three()
    await up(saga, settings=settings(engine, journal))
    calls = list(engine.calls)
    before = types(journal)
    result = await resume(saga=saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert engine.calls == calls
    assert types(journal) == before


async def test_a_changed_saga_is_refused_unless_accepted(journal: Path) -> None:
    """Going forward with another definition must be asked for."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    changed = three()
    changed.add_stack("d", program=program)
    with pytest.raises(DefinitionError, match='step "d" is new'):
        await resume(saga=changed, settings=settings(engine, journal))
    result = await resume(saga=changed, settings=settings(engine, journal), accept_changes=True)
    assert result.state is SagaState.COMPLETED
    assert ("s-d", "dev") in engine.world


async def test_up_over_a_run_that_died_going_forward_resumes_it(journal: Path) -> None:
    """Only the run that made the stacks knows that they are its own."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    (first,) = {entry.run for entry in history(journal)}
    result = await up(three(), settings=settings(engine, journal))
    assert (result.run_id, result.state) == (first, SagaState.COMPLETED)
    assert engine.counts["up", "s-a"] == 1


async def test_up_over_a_run_that_died_going_back_undoes_it_and_begins_anew(
    journal: Path,
) -> None:
    """What it had made is gone before anything new is made."""
    faults = [
        Fault(project="s-b", operation="up", after=1),
        Fault(project="s-a", operation="destroy", effect="crash", after=1),
    ]
    engine = FakeEngine(faults=faults)
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    (first,) = {entry.run for entry in history(journal)}
    result = await up(three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert result.run_id != first
    with Journal.open(journal, write=False) as reader:
        assert fold(reader.events(first)).state is SagaState.COMPENSATED


async def test_a_changed_saga_does_not_go_on_with_an_interrupted_run(journal: Path) -> None:
    """It says what is different, and the ways out; nothing is touched."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    changed = three()
    changed.add_stack("d", program=program)
    calls = list(engine.calls)
    with pytest.raises(DefinitionError, match='step "d" is new'):
        await up(changed, settings=settings(engine, journal))
    assert engine.calls == calls


async def test_destroy_over_an_interrupted_run_is_refused(journal: Path) -> None:
    """Its operations in doubt have to be found out about first."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    with pytest.raises(RefusedError, match="rollback"):
        await destroy(three(), settings=settings(engine, journal))


async def test_a_second_runner_is_refused_while_the_first_lives(journal: Path) -> None:
    """One lease for each target."""
    engine = FakeEngine()
    with (
        Journal.open(journal, write=True) as held,
        held.acquire("s/dev", "other"),
        pytest.raises(RunnerBusyError),
    ):
        await up(three(), settings=settings(engine, journal))
    assert engine.calls == []


async def test_a_missing_output_is_the_consumer_s_failure(journal: Path) -> None:
    """It names the outputs that there are."""
    engine = FakeEngine(programs={"s-a": FakeProgram(outputs={"path": "x"})})
    result = await ended(up(three(), settings=settings(engine, journal)))
    assert result.error is not None
    assert result.error.message == 'step "a" has no output "url"; it has: path'
    assert result.state is SagaState.COMPENSATED


# -- actions ---------------------------------------------------------------------------------


async def test_actions_as_in_the_adr(journal: Path) -> None:
    """Names from the functions, no argument or one, plain or async; undone in reverse."""
    seen: list[str] = []

    async def one() -> dict[str, int]:
        seen.append("one")
        return {"id": 1}

    def two(context: Context) -> None:
        seen.append(f"two after {context.outputs['one']['id']}")
        raise ValueError("no")

    def undo(context: Context) -> None:
        seen.append(f"undo {context.step} {context.result.get('id')}")

    saga = Saga(name="adr")
    saga.add_step(action=one, compensation=undo)
    saga.add_step(action=two, compensation=undo)
    with pytest.raises(SagaFailed) as caught:
        await saga.execute(journal=journal)
    assert seen == ["one", "two after 1", "undo two None", "undo one 1"]
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.result.state is SagaState.COMPENSATED


async def test_the_key_stays_the_same_over_retries_and_resumes(journal: Path) -> None:
    """And an action that is repeated after a crash is told that it is in doubt."""
    calls: list[tuple[str, int, bool]] = []
    reached = asyncio.Event()

    async def act(context: Context) -> None:
        calls.append((context.key, context.attempt, context.in_doubt))
        if len(calls) == 1:
            raise OSError("try again")
        if len(calls) == 2:
            reached.set()
            await asyncio.Event().wait()

    saga = Saga("s")
    saga.add_step("x", action=act, retry=Retry(attempts=2, delay=0), compensation=print)
    run = asyncio.create_task(up(saga, journal=journal))
    await reached.wait()
    run.cancel()  # the runner dies in the middle of the second attempt
    with pytest.raises(asyncio.CancelledError):
        await run
    result = await resume(saga=saga, journal=journal)
    assert result.state is SagaState.COMPLETED
    assert len({key for key, _, _ in calls}) == 1
    assert [(attempt, doubt) for _, attempt, doubt in calls] == [(1, False), (2, False), (2, True)]


async def test_a_step_without_compensation_is_a_leftover(journal: Path) -> None:
    """alma cannot know what the action made, so it is named."""
    saga = Saga("s")
    saga.add_step("first", action=lambda: None)
    saga.add_step("second", action=lambda: 1 / 0, compensation=lambda: None)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.FAILED
    assert [(left.step, left.reason) for left in result.leftovers] == [
        ("first", "the step has no compensation")
    ]


async def test_a_failing_compensation_is_a_leftover(journal: Path) -> None:
    """With the words of what it raised."""

    def bad() -> None:
        raise OSError("still in use")

    saga = Saga("s")
    saga.add_step("x", action=lambda: 1 / 0, compensation=bad)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.FAILED
    assert "still in use" in result.leftovers[0].reason


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, b"x"])
async def test_a_result_that_is_no_json_fails_the_step(journal: Path, value: object) -> None:
    """The action took effect, so it is compensated."""
    undone: list[str] = []
    saga = Saga("s")
    saga.add_step("x", action=lambda: value, compensation=lambda: undone.append("x"))
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED
    assert undone == ["x"]
    assert "cannot" in (result.error.message if result.error else "")


async def test_an_action_past_its_deadline_fails(journal: Path) -> None:
    """An async one is cancelled."""
    saga = Saga("s")

    async def slow() -> None:
        await asyncio.Event().wait()

    saga.add_step("x", action=slow, compensation=lambda: None, timeout=0.05)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED
    assert result.error is not None
    assert result.error.kind == "timeout"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), BaseException("x")])
async def test_an_action_that_tries_to_end_the_process_only_fails(
    journal: Path, error: BaseException
) -> None:
    """sys.exit inside an action is that action's failure."""

    def act() -> None:
        raise error

    saga = Saga("s")
    saga.add_step("x", action=act, compensation=lambda: None)
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED


async def test_no_secret_reaches_the_journal(journal: Path) -> None:
    """Not as an output, an input, nor inside an error; nested ones included."""
    canary = "canary-7f3a9b"
    saga = Saga("s")
    got: list[Any] = []

    def make() -> dict[str, Any]:
        return {"password": Secret(canary), "nested": {"list": [Secret(canary)]}}

    def use(context: Context) -> None:
        got.append(context.inputs["password"].value)
        raise ValueError(f"cannot log in with {canary}")

    first = saga.add_step("make", action=make, compensation=lambda: None)
    saga.add_step(
        "use", action=use, compensation=lambda: None, inputs={"password": first.output("password")}
    )
    result = await ended(up(saga, journal=journal))
    assert got == [canary]
    assert result.state is SagaState.COMPENSATED
    for path in journal.parent.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


# -- signals ---------------------------------------------------------------------------------


async def test_one_signal_drains_and_undoes(journal: Path) -> None:
    """No new step starts, the CLI is told once, and the failure policy applies."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="hang", after=1)])
    run = asyncio.create_task(ended(up(three(), settings=settings(engine, journal))))
    await until(lambda: ("up", "s-b") in engine.calls)
    os.kill(os.getpid(), signal.SIGTERM)
    result = await run
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}
    assert ("up", "s-c") not in engine.calls
    assert "SignalSent" in types(journal)


async def test_two_signals_stop_at_once_and_leave_it_in_doubt(journal: Path) -> None:
    """INTERRUPTED: journaled as such, resumable, exit 8."""

    async def stubborn() -> None:
        started.set()
        await asyncio.Event().wait()

    started = asyncio.Event()
    saga = Saga("s")
    saga.add_step("x", action=stubborn, compensation=lambda: None)
    run = asyncio.create_task(up(saga, journal=journal))
    await started.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await until(lambda: "InterruptReceived" in types(journal))
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(SagaInterrupted) as caught:
        await run
    assert caught.value.exit_code == 8
    assert types(journal)[-2:] == ["OperationLeftInDoubt", "RunInterrupted"]
    undone = await ended(rollback(saga=saga, journal=journal))
    assert undone.state is SagaState.COMPENSATED


# -- ways out of a stuck undo ----------------------------------------------------------------


def stuck() -> FakeEngine:
    """c fails going up, and b cannot be destroyed, however often it is tried."""
    faults = [Fault(project="s-c", operation="up", after=1)]
    faults += [Fault(project="s-b", operation="destroy", nth=n, after=1) for n in range(1, 9)]
    return FakeEngine(faults=faults)


async def test_a_skipped_step_lets_the_undo_go_on_and_is_never_clean(journal: Path) -> None:
    """What it depended on is undone; it stays a leftover, with the operator's reason."""
    engine = stuck()
    await ended(up(three(), settings=settings(engine, journal)))
    await skip("latest", "b", reason="deleted by hand", settings=settings(engine, journal))
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert [left.step for left in result.leftovers] == ["b"]
    assert "deleted by hand" in result.leftovers[0].reason
    assert set(engine.world) == {("s-b", "dev")}
    assert "StepSkipped" in types(journal)


async def test_only_a_step_that_waits_to_be_undone_can_be_skipped(journal: Path) -> None:
    """An unknown, an undone or a never started step is refused, and nothing is journaled."""
    engine = stuck()
    await ended(up(three(), settings=settings(engine, journal)))
    before = types(journal)
    for step in ("nope", "c"):
        with pytest.raises(DefinitionError):
            await skip("latest", step, reason="x", settings=settings(engine, journal))
    with pytest.raises(DefinitionError, match="reason"):
        await skip("latest", "b", reason=" ", settings=settings(engine, journal))
    assert types(journal) == before


async def test_an_abandoned_run_is_failed_and_frees_its_target(journal: Path) -> None:
    """An interrupted run that nobody wants to go on with, with all that is left of it named."""
    engine = FakeEngine(faults=[CRASHES[1]])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    result = await abandon("latest", reason="moved elsewhere", settings=settings(engine, journal))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a", "b"}
    assert all("moved elsewhere" in left.reason for left in result.leftovers)
    assert (await up(three(), settings=settings(engine, journal))).state is SagaState.COMPLETED


async def test_a_run_that_left_nothing_cannot_be_abandoned(journal: Path) -> None:
    """COMPLETED and COMPENSATED are never overwritten."""
    engine = FakeEngine()
    await up(three(), settings=settings(engine, journal))
    with pytest.raises(DefinitionError, match="COMPLETED"):
        await abandon("latest", reason="x", settings=settings(engine, journal))


# -- a journal that fails --------------------------------------------------------------------


class FullDisk(Journal):
    """Refuses every commit from the nth event on."""

    limit = 0

    def commit(self, drafts: Sequence[ev.Recorded], lease: Any) -> list[ev.Recorded]:
        """As `Journal.commit`, until the disk is full."""
        if drafts[-1].seq >= self.limit:
            raise JournalError("The journal cannot be written: the disk is full.")
        return super().commit(drafts, lease)


def full_disk_after(events: int) -> Any:
    """An opener of journals whose disk is full from this event on."""
    return type("FullDisk", (FullDisk,), {"limit": events}).open


async def test_a_full_disk_before_the_first_step_refuses_the_run(journal: Path) -> None:
    """Nothing outside was touched."""
    engine = FakeEngine()
    full = settings(engine, journal, open_journal=full_disk_after(2))
    with pytest.raises(JournalError) as caught:
        await up(three(), settings=full)
    assert caught.value.exit_code == 11
    assert engine.world == {}


async def test_a_full_disk_in_the_middle_interrupts_with_an_emergency_record(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outcome that could not be journaled is on stderr; later the run can be resumed."""
    engine = FakeEngine()
    full = settings(engine, journal, open_journal=full_disk_after(5))
    with pytest.raises(SagaInterrupted, match="disk is full"):
        await up(three(), settings=full)
    lost = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (lost[0]["type"], lost[0]["step"]) == ("OperationSucceeded", "a")
    assert {line["step"] for line in lost[1:]} <= {"b"}
    assert engine.calls == [("up", "s-a")]
    result = await resume(saga=three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED


async def test_a_record_that_vanished_is_no_proof(journal: Path) -> None:
    """The state was lost before the undo: what this run made is named, never called clean."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="crash", after=1)])
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))
    del engine.world["s-a", "dev"]
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.FAILED
    assert {left.step for left in result.leftovers} == {"a"}
    assert {left.id for left in result.leftovers} == {"s-a-one", "s-a-two"}


async def test_a_step_without_compensation_holds_up_nothing(journal: Path) -> None:
    """It is named; what was up before it is undone all the same."""
    undone: list[str] = []
    saga = Saga("s")
    saga.add_step("first", action=lambda: None, compensation=lambda: undone.append("first"))
    saga.add_step("check", action=lambda: 1 / 0)
    result = await ended(up(saga, journal=journal))
    assert undone == ["first"]
    assert result.state is SagaState.FAILED
    assert [left.step for left in result.leftovers] == ["check"]


async def test_a_step_that_has_nothing_to_undo_can_say_so(journal: Path) -> None:
    """compensation="none" is its author's word; also when only the journal is at hand."""
    saga = Saga("s")
    saga.add_step("check", action=lambda: 1 / 0, compensation="none")
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED
    assert result.status.steps["check"].how == "nothing"


@pytest.mark.parametrize("again", [resume, rollback])
async def test_a_run_that_a_later_one_built_on_is_not_taken_up_again(
    journal: Path, again: Any
) -> None:
    """Its stacks may belong to the later run by now: never a blind destroy."""
    engine = FakeEngine(faults=[Fault(project="s-c", operation="up", after=1)])
    saga = three(on_failure="stop")
    first = await ended(up(saga, settings=settings(engine, journal)))
    second = await up(three(), settings=settings(engine, journal))
    assert second.state is SagaState.COMPLETED
    calls = list(engine.calls)
    with pytest.raises(DefinitionError, match=second.run_id):
        await again(first.run_id, saga=saga, settings=settings(engine, journal))
    assert engine.calls == calls


async def test_leftovers_stay_listed_until_a_later_run_proves_them_gone(journal: Path) -> None:
    """A destroy that has seen the stack empty is proof; one that failed is none."""
    faults = [Fault(project="s-b", operation="destroy", nth=n, after=0) for n in (1, 2)]
    engine = FakeEngine(faults=[Fault(project="s-c", operation="up", after=1), *faults])
    failed = await ended(up(three(), settings=settings(engine, journal)))
    assert {left.step for left in failed.leftovers} == {"a", "b"}
    await ended(destroy(three(), settings=settings(engine, journal)))
    with Journal.open(journal, write=False) as reader:
        assert proven_gone(reader, failed.status) == {}
    proof = await destroy(three(), settings=settings(engine, journal))
    with Journal.open(journal, write=False) as reader:
        gone = proven_gone(reader, failed.status)
    assert set(gone.values()) == {proof.run_id}
    assert set(gone) == set(failed.leftovers)


async def test_a_pivot_in_doubt_is_not_rolled_back(journal: Path) -> None:
    """It may have taken effect: going forward finds out."""
    engine = FakeEngine(faults=[Fault(project="s-b", operation="up", effect="crash", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program)
    saga.add_stack("b", program=program, pivot=True)
    with pytest.raises(Crash):
        await up(saga, settings=settings(engine, journal))
    with pytest.raises(DefinitionError, match="in doubt"):
        await rollback(settings=settings(engine, journal))
    result = await resume(saga=saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED


async def test_an_action_repeated_for_its_secret_keeps_the_key_of_its_own_run(
    journal: Path,
) -> None:
    """In a destroy as well: with another key it would act a second time."""
    keys: list[str] = []

    def make(context: Context) -> dict[str, Any]:
        keys.append(context.key)
        return {"password": Secret("hunter22")}

    saga = Saga("s")
    first = saga.add_step("make", action=make, compensation=lambda: None)
    saga.add_step(
        "use",
        action=lambda: None,
        compensation=lambda context: context.inputs["password"].value,
        inputs={"password": first.output("password")},
    )
    await up(saga, journal=journal)
    await destroy(saga, journal=journal)
    assert len(keys) == 2
    assert len(set(keys)) == 1
