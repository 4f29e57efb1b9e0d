"""A saga as a step: a run of its own, undone as a whole, by the journal alone as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, Retry, Saga, SagaState, Secret
from alma.core.events import RunCreated
from alma.core.run import RunStatus
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.runner import destroy, resume, rollback, up
from alma.runner.approve import answer
from alma.runner.intervene import abandon
from alma.runner.preview import preview
from alma.system.processes import user_name
from alma.testing import Crash, FakeEngine, FakeProgram, Fault, JournalFault, JournalFaults
from tests.runner.helpers import ended, history, program, settings

C, X, F = SagaState.COMPLETED, SagaState.COMPENSATED, SagaState.FAILED


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def region(name: str) -> Saga:
    """Two stacks; the first takes what its parent has."""
    inner = Saga("region", stack=name)
    net = inner.add_stack(
        "net", program=program, project=f"net-{name}", inputs={"vpc": inner.input("vpc")}
    )
    inner.add_stack("app", program=program, project=f"app-{name}", inputs={"id": net.output("id")})
    return inner


def world_wide(*, items: Any = ("eu", "us"), **options: Any) -> Saga:
    """What all share, a saga for each region, and what comes after them."""
    saga = Saga("world")
    base = saga.add_stack("base", program=program)
    each = saga.add_saga(
        "regions", region, for_each=items, inputs={"vpc": base.output("vpc")}, **options
    )
    saga.add_stack("dns", program=program, inputs={"eu": each.output("eu.app.url")})
    return saga


def engine(*faults: Fault) -> FakeEngine:
    programs = {"world-base": FakeProgram(outputs={"vpc": "vpc-1", "items": ["eu", "us"]})}
    for name in ("eu", "us"):
        programs[f"net-{name}"] = FakeProgram(resources=("n",), outputs={"id": f"net-{name}"})
        url = Secret(f"https://canary-{name}")
        programs[f"app-{name}"] = FakeProgram(resources=("a", "b"), outputs={"url": url})
    return FakeEngine(programs, faults=faults)


def runs(journal: Path) -> list[RunStatus]:
    """Every run, the oldest first."""
    with open_journal(journal, write=False) as reader:
        return [load_run(reader, row.run) for row in reversed(reader.runs(limit=None))]


def told(journal: Path) -> dict[str, SagaState]:
    """The state of the last run of each target."""
    return {run.definition.target: run.state for run in runs(journal)}


FAILS = Fault(project="world-dns", operation="up", after=1)


async def test_a_run_of_its_own_for_each_linked_both_ways(journal: Path) -> None:
    """Inputs go in, outputs come out, a secret one as what it is; the journal shows it masked."""
    fake = engine()
    result = await up(world_wide(), settings=settings(fake, journal))
    assert result.state is C
    assert told(journal) == {"world/dev": C, "region/eu": C, "region/us": C}
    parent, *children = runs(journal)
    links = {(one.parent.step, one.parent.item, one.run) for one in children if one.parent}
    named = parent.steps["regions"].children
    assert links == {("regions", item, child.run) for item, child in named.items()}
    assert {one.parent.run for one in children if one.parent} == {parent.run}
    url = result.outputs["regions"]["eu.app.url"]
    assert isinstance(url, Secret)
    assert parent.steps["regions"].changes == {"create": 6}
    created = history(journal, children[0].run)[0].event
    assert isinstance(created, RunCreated)
    assert created.sealed  # what it was given
    assert b"canary" not in journal.read_bytes()  # noqa: ASYNC240


async def test_undone_as_a_whole_also_after_it_had_completed(journal: Path) -> None:
    fake = engine(FAILS)
    result = await ended(up(world_wide(), settings=settings(fake, journal)))
    assert result.state is X
    assert told(journal) == {"world/dev": X, "region/eu": X, "region/us": X}
    assert fake.world == {}
    assert result.status.steps["regions"].how == "undone"


async def test_what_was_there_before_is_put_back(journal: Path) -> None:
    """By each run's own rules: a stack that held something is restored, and never destroyed."""
    fake = engine(FAILS)
    fake.existing("net-eu", "eu", "old")
    before = fake.world["net-eu", "eu"]
    result = await ended(up(world_wide(), settings=settings(fake, journal)))
    assert result.state is X
    assert [resource.urn for resource in fake.world["net-eu", "eu"].resources] == [
        resource.urn for resource in before.resources
    ]
    assert set(fake.world) == {("net-eu", "eu")}


async def test_a_part_that_fails_lets_no_further_one_begin(journal: Path) -> None:
    fake = engine(Fault(project="app-eu", operation="up", after=1))
    result = await ended(up(world_wide(at_once=1), settings=settings(fake, journal)))
    assert result.state is X
    assert told(journal) == {"world/dev": X, "region/eu": X}
    assert result.error is not None
    assert "region/eu (run " in result.error.message
    assert 'failed at step "app"' in result.error.message
    assert fake.world == {}


async def test_a_part_is_tried_again_as_a_new_run(journal: Path) -> None:
    fake = engine(Fault(project="app-eu", operation="up", after=1))
    made = world_wide(retry=Retry(attempts=2, delay=0))
    result = await ended(up(made, settings=settings(fake, journal)))
    assert result.state is C
    states = [run.state for run in runs(journal) if run.definition.target == "region/eu"]
    assert states == [X, C]


async def test_what_a_part_leaves_is_left_of_the_parent(journal: Path) -> None:
    """Named, until a rollback has proven it gone."""
    stuck = [Fault(project="net-eu", operation="destroy", nth=nth, after=0) for nth in (1, 2)]
    fake = engine(FAILS, *stuck)
    result = await ended(up(world_wide(), settings=settings(fake, journal)))
    assert result.state is F
    left = {one.step: one for one in result.leftovers}
    assert set(left) == {"regions", "base"}
    assert (left["regions"].stack, left["regions"].urn != "") == ("net-eu/eu", True)
    assert "region/eu (run " in left["regions"].reason
    assert {key for key in fake.world if fake.world[key].resources} >= {("net-eu", "eu")}
    fake.faults = ()
    result = await ended(rollback(settings=settings(fake, journal)))
    assert result.state is X
    assert fake.world == {}


async def test_rolled_back_from_the_journal_alone(journal: Path) -> None:
    """Each part's definition is in its own first event."""
    fake = engine(FAILS)
    faults = JournalFaults([])
    made = world_wide()
    made.on_failure = "stop"
    result = await ended(up(made, settings=settings(fake, journal, open_journal=faults)))
    assert result.state is F
    result = await ended(rollback(settings=settings(fake, journal)))
    assert result.state is X
    assert told(journal) == {"world/dev": X, "region/eu": X, "region/us": X}
    assert fake.world == {}


def dies(project: str, operation: Any, effect: Any = "crash", after: int = 1) -> Fault:
    return Fault(project=project, operation=operation, effect=effect, after=after)


@pytest.mark.parametrize("back", [False, True], ids=["resume", "rollback"])
@pytest.mark.parametrize(
    "fault",
    [
        dies("net-eu", "up", "crash", 0),
        dies("app-eu", "up"),
        dies("app-eu", "up", "drain"),
        dies("app-us", "up"),
        dies("world-dns", "up"),
    ],
    ids=lambda fault: f"{fault.project} {fault.effect}",
)
async def test_killed_while_a_part_runs(journal: Path, fault: Fault, *, back: bool) -> None:
    """Whoever goes on goes on with the part first, or undoes it, and begins no second one."""
    fake = engine(fault)
    made = world_wide(at_once=1)
    with pytest.raises(Crash):
        await up(made, settings=settings(fake, journal))
    again = fake.restarted()
    if back:
        result = await ended(rollback(settings=settings(again, journal)))
        assert result.state is X
        assert again.world == {}
    else:
        result = await ended(resume(saga=world_wide(at_once=1), settings=settings(again, journal)))
        assert result.state is C
        assert set(told(journal).values()) == {C}
    targets = [run.definition.target for run in runs(journal)]
    assert len(targets) == len(set(targets))


@pytest.mark.parametrize("effect", ["crash_before", "crash_after"])
@pytest.mark.parametrize("nth", [*range(6, 12)])
async def test_killed_around_the_beginning_of_a_part(journal: Path, nth: int, effect: Any) -> None:
    """A run that was named and never began is none; one that has begun is gone on with."""
    fake = engine()
    faults = JournalFaults([JournalFault(nth=nth, effect=effect)])
    own = settings(fake.restarted(life=faults.life), journal, open_journal=faults)
    with pytest.raises(Crash):
        await up(world_wide(at_once=1), settings=own)
    result = await ended(
        resume(saga=world_wide(at_once=1), settings=settings(fake.restarted(), journal))
    )
    assert result.state is C
    assert told(journal) == {"world/dev": C, "region/eu": C, "region/us": C}


@pytest.mark.parametrize("project", ["app-eu", "net-us"])
async def test_killed_in_the_undo(journal: Path, project: str) -> None:
    fake = engine(FAILS, dies(project, "destroy", "crash", 0))
    with pytest.raises(Crash):
        await up(world_wide(), settings=settings(fake, journal))
    again = fake.restarted()
    result = await ended(rollback(settings=settings(again, journal)))
    assert result.state is X
    assert again.world == {}


async def test_items_that_only_the_run_knows(journal: Path) -> None:
    """One saga for each that another step gives; undone by the journal alone as well."""

    def made() -> Saga:
        saga = Saga("world")
        base = saga.add_stack("base", program=program)
        saga.add_saga(
            "regions",
            region,
            for_each=base.output("items"),
            inputs={"vpc": base.output("vpc")},
        )
        saga.add_stack("dns", program=program)
        return saga

    fake = engine()
    result = await up(made(), settings=settings(fake, journal))
    assert result.state is C
    assert told(journal) == {"world/dev": C, "region/eu": C, "region/us": C}
    result = await destroy(made(), settings=settings(fake, journal))
    assert result.state is C
    assert not any(state.resources for state in fake.world.values())
    fake = engine(FAILS)
    result = await ended(up(made(), settings=settings(fake, journal)))
    assert result.state is X
    assert fake.world == {}


async def test_destroy_takes_each_part_down(journal: Path) -> None:
    """Those too that the saga has no more."""
    fake = engine()
    await up(world_wide(), settings=settings(fake, journal))
    made = world_wide(items=("eu",))
    result = await ended(destroy(made, settings=settings(fake, journal)))
    assert result.state is C
    assert not any(state.resources for state in fake.world.values())
    kinds = [(run.kind, run.definition.target) for run in runs(journal)[-2:]]
    assert kinds == [("destroy", "region/eu"), ("destroy", "region/us")]


async def test_a_part_that_somebody_else_holds_is_busy(journal: Path) -> None:
    """Told as that, tried again, and nothing of it is taken for this run's."""
    fake = engine()
    with open_journal(journal, write=True) as held, held.acquire("region/eu", "r"):
        made = world_wide(retry=Retry(attempts=2, delay=0))
        result = await ended(up(made, settings=settings(fake, journal)))
    assert result.state is X
    assert result.error is not None
    assert result.error.kind == "locked"
    assert "Another runner" in result.error.message
    assert result.status.steps["regions"].operations == 2
    assert fake.world == {}


async def test_abandoned_its_parts_are_named(journal: Path) -> None:
    fake = engine(dies("app-us", "up"))
    with pytest.raises(Crash):
        await up(world_wide(at_once=1), settings=settings(fake, journal))
    parent = runs(journal)[0].run
    result = await abandon(parent, reason="moved", settings=settings(fake.restarted(), journal))
    stacks = {left.stack for left in result.leftovers if left.step == "regions"}
    assert stacks - {""} == {"net-eu/eu", "app-eu/eu", "net-us/us", "app-us/us"}


async def test_the_preview_tells_of_its_parts(journal: Path) -> None:
    fake = engine()
    found = await preview(world_wide(), settings=settings(fake, journal))
    step = found.steps[1].foreseen
    assert step.what == "saga region/eu, saga region/us"
    assert [line.split(":")[0] for line in step.within] == [
        "region/eu net",
        "region/eu app",
        "region/us net",
        "region/us app",
    ]
    assert step.undoable


async def test_an_approval_within_is_waited_for(journal: Path) -> None:
    """The parent waits with it: nothing is undone, and it goes on when it is resumed."""

    def made() -> Saga:
        inner = Saga("inner")
        inner.add_stack("one", program=program)
        inner.add_approval("go", [user_name()])
        inner.add_stack("two", program=program)
        saga = Saga("outer")
        saga.add_saga("part", inner)
        saga.add_stack("last", program=program)
        return saga

    fake = FakeEngine()
    own = settings(fake, journal)
    result = await ended(up(made(), settings=own))
    assert (result.exit_code, result.state) == (8, SagaState.RUNNING)
    child = runs(journal)[1]
    answer(child.run, "go", approved=True, reason="x", settings=own)
    result = await ended(resume(result.run_id, saga=made(), settings=own))
    assert result.state is C
    assert len(runs(journal)) == 2


async def test_a_completed_part_is_not_rolled_back_by_itself(journal: Path) -> None:
    fake = engine()
    await up(world_wide(), settings=settings(fake, journal))
    child = runs(journal)[1].run
    with pytest.raises(DefinitionError, match="is COMPLETED: there is nothing to roll back"):
        await rollback(child, settings=settings(fake, journal))


def refused() -> dict[str, tuple[Any, str]]:
    def alone(**inputs: Any) -> None:
        Saga("outer").add_saga("part", region("eu"), inputs=inputs)

    def itself() -> None:
        saga = Saga("s")
        saga.add_stack("a", program=program)
        saga.add_saga("part", saga)

    def each(items: Any) -> None:
        Saga("outer").add_saga("part", region, for_each=items, inputs={"vpc": "v"})

    def same() -> None:
        Saga("outer").add_saga(
            "part", lambda _: region("eu"), for_each=["a", "b"], inputs={"vpc": "v"}
        )

    def twice() -> None:
        saga = Saga("outer")
        saga.add_saga("a", region("eu"), inputs={"vpc": "v"})
        saga.add_saga("b", region("eu"), inputs={"vpc": "v"})

    return {
        "an input is missing": (alone, 'takes the input "vpc", and is not given it'),
        "an input too many": (lambda: alone(vpc="v", more=1), 'takes the input "more"'),
        "itself": (itself, "would be a part of itself"),
        "no list": (lambda: each("eu"), "for_each takes a list of names"),
        "an item twice": (lambda: each(["eu", "eu"]), 'has "eu" twice'),
        "no name": (lambda: each(["e/u"]), "cannot be the name"),
        "one target": (same, "are the same saga, region/eu"),
        "one target, two steps": (twice, 'are the same saga "region/eu"'),
    }


@pytest.mark.parametrize("what", refused())
def test_what_cannot_be_is_refused_where_it_is_written(what: str) -> None:
    make, message = refused()[what]
    with pytest.raises(DefinitionError, match=message):
        make()


async def test_alone_it_lacks_what_it_is_given(journal: Path) -> None:
    with pytest.raises(DefinitionError, match='takes the input "vpc", and nothing gives it'):
        await up(region("eu"), settings=settings(engine(), journal))
