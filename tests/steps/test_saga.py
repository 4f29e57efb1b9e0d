"""A saga as a step: a run of its own for each part, linked with its parent's both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alma import Retry, Saga, SagaState, Secret
from alma.core.events import RunCreated
from alma.core.run import RunStatus
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.runner import destroy, resume, up
from alma.runner.approve import answer
from alma.runner.preview import preview
from alma.system.processes import user_name
from alma.testing import FakeEngine, FakeProgram, Fault
from tests.runner.helpers import ended, history, program, settings

C, X, F = SagaState.COMPLETED, SagaState.COMPENSATED, SagaState.FAILED


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
