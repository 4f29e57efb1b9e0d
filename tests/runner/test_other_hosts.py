"""A run that another host has begun: what is not seen from here is not assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from alma.core.event_parts import Workflow
from alma.core.events import HostDeclaredGone, RunnerAttached
from alma.core.run import SagaState
from alma.errors import DefinitionError, RefusedError
from alma.journal import Journal, open_journal
from alma.journal.reading import load_run
from alma.pulumi.engine import StackRef
from alma.runner import destroy, resume, rollback, up
from alma.runner.hosts import declare_gone, unseen
from alma.runner.leased_run import resume_hint
from alma.system import processes
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import ended, history, settings, three, types

On = Callable[[str], None]
CUT = [Fault(project="s-b", operation="up", effect="crash", after=1)]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> On:
    """From here on this process is on another host, with a journal that all of them reach."""
    monkeypatch.setattr(Journal, "is_shared", True)
    monkeypatch.setenv("ALMA_JOURNAL_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")

    def move(name: str) -> None:
        monkeypatch.setattr(processes, "HOST", name)
        monkeypatch.setattr(processes, "PLACE", f"{name}#boot-1")

    return move


async def cut_off(engine: FakeEngine, journal: Path) -> None:
    with pytest.raises(Crash):
        await up(three(), settings=settings(engine, journal))


@pytest.mark.parametrize("back", [False, True])
async def test_without_a_word_nothing_is_begun_and_with_it_the_run_ends(
    journal: Path, on: On, *, back: bool
) -> None:
    on("ci-1")
    engine = FakeEngine(faults=CUT)
    await cut_off(engine, journal)
    on("ci-2")
    before, world = types(journal), dict(engine.world)
    go_on = rollback if back else resume
    with pytest.raises(RefusedError) as refused:
        await go_on(saga=three(), settings=settings(engine, journal))
    assert refused.value.exit_code == 11
    assert 'was cut off on ci-1: the up of step "b" was begun there at 20' in refused.value.message
    assert "--host-is-gone --reason" in refused.value.hint
    assert (types(journal), engine.world) == (before, world)

    word = settings(engine, journal, host_is_gone="the runner was taken away")
    result = await ended(go_on(saga=three(), settings=word))
    assert result.state is (SagaState.COMPENSATED if back else SagaState.COMPLETED)
    (said,) = [one.event for one in history(journal) if isinstance(one.event, HostDeclaredGone)]
    assert (said.host, said.reason) == ("ci-1#boot-1", "the runner was taken away")
    assert said.actor
    after = types(journal)[len(before) :]
    assert after.index("HostDeclaredGone") < after.index("OperationReconciled")


async def test_a_host_that_says_of_itself_that_it_is_gone_needs_no_word(
    journal: Path, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("container-1")
    monkeypatch.setenv(processes.EPHEMERAL, "1")
    engine = FakeEngine(faults=CUT)
    await cut_off(engine, journal)
    on("container-2")
    result = await resume(saga=three(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    drivers = [
        one.event.process for one in history(journal) if isinstance(one.event, RunnerAttached)
    ]
    assert [(one.machine, one.ephemeral) for one in drivers] == [
        ("container-1", True),
        ("container-2", True),
    ]
    assert "HostDeclaredGone" not in types(journal)


async def test_what_is_unclear_of_a_host_stays_so_when_a_second_one_is_gone(
    journal: Path, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first host nobody has said anything; the second is refused and says nothing of it."""
    on("laptop")
    engine = FakeEngine(faults=[*CUT, Fault(project="s-b", operation="reconcile", effect="crash")])
    await cut_off(engine, journal)
    monkeypatch.setenv(processes.EPHEMERAL, "1")
    on("container")
    with pytest.raises(RefusedError, match="cut off on laptop"):
        await resume(saga=three(), settings=settings(engine, journal))
    on("container-2")
    with pytest.raises(RefusedError, match="cut off on laptop"):
        await resume(saga=three(), settings=settings(engine, journal))


async def test_where_nothing_is_in_doubt_any_host_goes_on(journal: Path, on: On) -> None:
    on("ci-1")
    engine = FakeEngine(faults=[Fault(project="s-b", operation="inspect", effect="crash")])
    await cut_off(engine, journal)
    on("ci-2")
    assert (await resume(saga=three(), settings=settings(engine, journal))).state.is_final


async def test_a_journal_of_one_machine_needs_no_word_but_takes_one(
    journal: Path, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock ends with the runner, so that one is dead whichever namespace it was in."""
    on("machine")
    engine = FakeEngine(faults=CUT)
    await cut_off(engine, journal)
    monkeypatch.setattr(Journal, "is_shared", False)
    on("other")
    with open_journal(journal, write=False) as opened:
        assert "gone" not in resume_hint(load_run(opened, opened.resolve("latest")))
    word = settings(engine, journal, host_is_gone="I have seen it")
    assert (await resume(saga=three(), settings=word)).state is SagaState.COMPLETED
    assert "HostDeclaredGone" in types(journal)


async def test_of_the_hosts_of_many_workers_only_those_in_doubt_are_said_to_be_gone(
    journal: Path, on: On
) -> None:
    on("w-2")
    await cut_off(FakeEngine(faults=CUT), journal)
    on("w-3")
    with open_journal(journal, write=False) as opened:
        run = load_run(opened, opened.resolve("latest"))
    run.steps["a"].hosts = ("w-1#boot-1",)
    run.workflow = Workflow(id="alma/s/dev", address="temporal:7233", namespace="default")

    def said() -> list[str]:
        return [one.host for one in declare_gone(run, "it has burned", shared=True)]

    assert said() == ["w-2#boot-1"]
    assert "If w-2 is gone for good, with `--host-is-gone" in resume_hint(run)
    # With nothing in doubt it is about the locks that are left, wherever.
    run.steps["b"].open = None
    assert said() == ["w-1#boot-1", "w-2#boot-1"]
    assert "gone" not in resume_hint(run)


async def test_a_variable_that_says_neither_is_refused(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes.EPHEMERAL, "perhaps")
    with pytest.raises(DefinitionError, match="'perhaps', which says neither yes nor no"):
        await up(three(), settings=settings(FakeEngine(), journal))


class OnFiles(FakeEngine):
    """State in a directory of the host."""

    async def check(
        self, refs: Sequence[StackRef] = (), *, write: bool = False
    ) -> Mapping[str, str]:
        return {**await super().check(refs, write=write), "backend": "file:///srv/.alma/state"}

    def where(self, ref: StackRef) -> str:  # noqa: ARG002
        return "file:///srv/.alma/state"


async def test_state_in_a_directory_of_another_host_is_never_called_clean(
    journal: Path, on: On
) -> None:
    on("laptop")
    engine = OnFiles(faults=CUT)
    await cut_off(engine, journal)
    on("server")
    word = settings(OnFiles(), journal, host_is_gone="sold")
    with pytest.raises(DefinitionError, match='"a": the state of its stack s-a is in file:'):
        await ended(rollback(saga=three(), settings=word))
    alone = three()  # of which the first step is the one in doubt
    on("laptop")
    other = OnFiles(faults=[Fault(project="s-a", operation="up", effect="crash", after=1)])
    second = journal.with_name("second.db")
    with pytest.raises(Crash):
        await up(alone, settings=settings(other, second))
    on("server")
    word = settings(OnFiles(), second, host_is_gone="sold")
    result = await ended(rollback(saga=three(), settings=word))
    assert result.state is SagaState.FAILED
    assert "in a directory of laptop" in result.leftovers[0].reason


async def test_a_destroy_does_not_call_gone_what_is_on_another_host(journal: Path, on: On) -> None:
    on("laptop")
    await up(three(), settings=settings(OnFiles(), journal))
    on("server")
    with pytest.raises(DefinitionError, match=r"of laptop, where run .* made it, and not here"):
        await destroy(three(), settings=settings(OnFiles(), journal))
    with pytest.raises(DefinitionError, match="of laptop"):
        await up(three(), settings=settings(OnFiles(), journal))


async def test_who_reads_sees_where_a_run_was_and_what_is_unseen(journal: Path, on: On) -> None:
    on("ci-1")
    engine = FakeEngine(faults=CUT)
    await cut_off(engine, journal)
    with open_journal(journal, write=False) as reader:
        run = load_run(reader, reader.resolve("latest"))
    assert run.runner is not None
    assert run.runner.machine == "ci-1"
    assert run.heard_at == history(journal)[-1].at
    assert [*unseen(run)] == []
    on("ci-2")
    assert [(one.step, one.hosts) for one in unseen(run)] == [("b", ("ci-1#boot-1",))]
