"""An approval: asked, answered from elsewhere, and only about what would be done now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, Saga, SagaState, Secret
from alma.core.approval import Approval, ApprovalAsked
from alma.core.result import Result
from alma.errors import RefusedError, RunnerBusyError
from alma.journal import open_journal
from alma.runner import destroy, resume, rollback, up
from alma.runner.approve import answer
from alma.system.processes import user_name
from alma.testing import FakeEngine, FakeProgram, Fault
from tests.runner.helpers import ended, history, program, settings, types, until

ME = user_name()


def saga(approvers: Any = (ME,), password: str = "pw-1", **options: Any) -> Saga:
    """Two stacks, and a word between them."""
    made = Saga("s", **options.pop("of", {}))
    base = made.add_stack("base", program=program)
    made.add_approval("release", approvers, **options)
    made.add_stack(
        "live",
        program=program,
        inputs={"url": base.output("url"), "password": Secret(password)},
        after=["release"],
    )
    return made


def world(**more: Any) -> FakeEngine:
    programs = {
        "s-base": FakeProgram(resources=("r",), outputs={"url": "http://base"}),
        "s-live": FakeProgram(resources=("a", "b")),
    }
    return FakeEngine(programs, **more)


def asked(journal: Path) -> list[ApprovalAsked]:
    found = (entry.event for entry in history(journal))
    return [event for event in found if isinstance(event, ApprovalAsked)]


def say(journal: Path, engine: FakeEngine, *, approved: bool = True, **more: Any) -> Result:
    reason = more.pop("reason", "ticket 7")
    return answer(
        "latest",
        "release",
        approved=approved,
        reason=reason,
        settings=settings(engine, journal),
        **more,
    )


async def waiting(journal: Path, engine: FakeEngine, made: Saga | None = None) -> Result:
    result = await ended(up(made or saga(), settings=settings(engine, journal)))
    assert (result.interrupted, result.exit_code) == (True, 8)
    assert [step.name for step in result.status.waiting] == ["release"]
    return result


async def on(journal: Path, engine: FakeEngine, made: Saga | None = None, **more: Any) -> Result:
    """Resumed, as another process does it."""
    return await ended(resume(saga=made or saga(), settings=settings(engine, journal, **more)))


async def test_the_run_waits_with_nothing_undone_and_goes_on_once_approved(journal: Path) -> None:
    """The plan is told; nobody has begun what comes after; the answer is in the outputs."""
    engine = world()
    await waiting(journal, engine)
    (event,) = asked(journal)
    assert [(one.step, one.changes) for one in event.plan] == [("live", {"create": 2})]
    assert set(engine.world) == {("s-base", "dev")}
    said = say(journal, engine)
    assert said.status.waiting == ()
    result = await on(journal, engine)
    assert result.state is SagaState.COMPLETED
    told = {"by": ME, "reason": "ticket 7", "digest": event.digest}
    assert result.outputs["release"] == told
    assert len(asked(journal)) == 1


async def test_resumed_without_an_answer_it_asks_the_same_and_the_time_runs_on(
    journal: Path,
) -> None:
    engine = world()
    first = (await waiting(journal, engine)).status.steps["release"].approval
    second = (await on(journal, engine)).status.steps["release"].approval
    assert first is not None
    assert second is not None
    assert (second.since, second.asked.digest) == (first.since, first.asked.digest)
    assert len(asked(journal)) == 2


@pytest.mark.parametrize("what", ["program", "secret", "approvers"])
async def test_what_was_approved_is_not_another_plan(journal: Path, what: str) -> None:
    """Other changes, another secret, other approvers: it is asked again, and then goes on."""
    engine = world()
    await waiting(journal, engine)
    say(journal, engine)
    now = {"secret": saga(password="pw-2"), "approvers": saga((ME, "joe"))}.get(what, saga())
    if what == "program":
        engine.programs = {**engine.programs, "s-live": FakeProgram(resources=("a", "b", "c"))}
    accept = {"accept_changes": True}
    result = await ended(resume(saga=now, settings=settings(engine, journal), **accept))
    assert result.exit_code == 8
    before, after = asked(journal)
    assert before.digest != after.digest
    assert ("s-live", "dev") not in engine.world
    say(journal, engine, digest=after.digest[:8])
    result = await ended(resume(saga=now, settings=settings(engine, journal), **accept))
    assert result.state is SagaState.COMPLETED


async def test_refused_it_turns_back_and_all_is_verified_undone(journal: Path) -> None:
    engine = world()
    await waiting(journal, engine)
    say(journal, engine, approved=False, reason="not on a friday")
    result = await on(journal, engine)
    assert (result.state, result.exit_code) == (SagaState.COMPENSATED, 4)
    assert result.error is not None
    assert result.error.message == f"refused by {ME}: not on a friday"
    assert engine.world == {}


async def test_too_late_it_turns_back_and_an_answer_is_no_longer_taken(journal: Path) -> None:
    """The time counts from the asking, not from the resume."""
    engine = world()
    made = saga(timeout=0.001)
    approval = (await waiting(journal, engine, made)).status.steps["release"].approval
    assert approval is not None
    await until(lambda: approval.is_late(datetime.now(UTC)))
    with pytest.raises(DefinitionError, match="was to be approved by"):
        say(journal, engine)
    result = await on(journal, engine, saga(timeout=0.001))
    assert result.state is SagaState.COMPENSATED
    assert "not approved within 0.001 s" in str(result.error)


async def test_an_answer_in_time_counts_however_late_it_is_taken_up(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world()
    await waiting(journal, engine, saga(timeout=3600))
    say(journal, engine)
    monkeypatch.setattr(Approval, "is_late", lambda *_: True)
    result = await on(journal, engine, saga(timeout=3600))
    assert result.state is SagaState.COMPLETED


async def test_only_who_is_named_is_heard(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only about what is asked; nothing of the rest is journaled."""
    engine = world()
    await waiting(journal, engine, saga(["jane"]))
    before = types(journal)
    with pytest.raises(RefusedError, match="is for jane to approve, and this is"):
        say(journal, engine)
    monkeypatch.setenv("ALMA_ACTOR", "jane")
    with pytest.raises(DefinitionError, match="A reason is needed"):
        say(journal, engine, reason=" ")
    with pytest.raises(DefinitionError, match="is asked about the plan"):
        say(journal, engine, digest="0" * 64)
    with pytest.raises(DefinitionError, match='has no approval "base"'):
        answer("latest", "base", approved=True, reason="x", settings=settings(engine, journal))
    with (
        open_journal(journal, write=True) as held,
        held.acquire("s/dev", "r"),
        pytest.raises(RunnerBusyError),
    ):
        say(journal, engine)
    assert types(journal) == before
    say(journal, engine)
    with pytest.raises(DefinitionError, match="jane has approved it"):
        say(journal, engine, approved=False)
    (event,) = (e.event for e in history(journal) if e.event.type == "ApprovalAnswered")
    assert (event.name, event.actor.split("@")[0]) == ("jane", ME)


async def test_rolled_back_from_the_journal_alone_while_it_waits(journal: Path) -> None:
    """And taken down, once it has completed: a word that was given is nothing to undo."""
    engine = world()
    await waiting(journal, engine)
    result = await ended(rollback(settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert engine.world == {}
    await waiting(journal, engine)
    say(journal, engine)
    await on(journal, engine)
    result = await ended(destroy(saga(), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPLETED
    assert not any(state.resources for state in engine.world.values())


async def test_what_was_refused_and_left_as_it_is_is_asked_again_by_resume(journal: Path) -> None:
    engine = world()
    of = {"of": {"on_failure": "stop"}}
    await waiting(journal, engine, saga(**of))
    say(journal, engine, approved=False)
    result = await on(journal, engine, saga(of={"on_failure": "stop"}))
    assert result.state is SagaState.FAILED
    result = await on(journal, engine, saga(of={"on_failure": "stop"}))
    assert result.exit_code == 8
    say(journal, engine)
    result = await on(journal, engine, saga(of={"on_failure": "stop"}))
    assert result.state is SagaState.COMPLETED


async def test_no_secret_is_in_the_plan_nor_in_what_somebody_says(journal: Path) -> None:
    engine = world()
    await waiting(journal, engine, saga(password="canary-of-approval"))
    say(journal, engine, reason="because of canary-of-approval")
    text = repr(history(journal))
    assert "[secret]" in text
    assert "canary-of-approval" not in text


async def test_a_failure_of_the_look_ahead_is_told_and_is_no_failure(journal: Path) -> None:
    """What comes after may not be there to be looked at yet."""
    engine = world(faults=[Fault(project="s-live", operation="inspect", effect="unreadable")])
    await waiting(journal, engine)
    (event,) = asked(journal)
    assert "cannot be read" in event.plan[0].error


@pytest.mark.parametrize(
    ("approvers", "message"),
    [([], "approvers is empty"), ([" "], "is no name"), (["a\nb"], "is no name")],
)
def test_somebody_must_be_able_to_approve(approvers: list[str], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Saga("s").add_approval("release", approvers)
