"""Whole sagas over stacks that were there before, with the real engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import Output, ResourceOptions

from alma import Retry, Saga, SagaState
from alma.core import events as ev
from alma.core.result import Result, SagaEndedError
from alma.journal import open_journal
from alma.runner import resume, rollback, up
from alma.runner.preview import preview
from alma.runner.settings import Settings
from tests.pulumi.conftest import Place, environment, until
from tests.restore.conftest import Lab
from tests.restore.things import Thing

pytestmark = pytest.mark.lives

Program = Callable[[], Any]


def database(size: int, *extra: str, slow: str = "") -> Program:
    """Grows by things; `slow` names a file that says that a create is under way."""

    def run() -> None:
        a = Thing("a", size=size, token=Output.secret(f"canary-{size}"))
        if size == 1:
            gate = {"gate": slow, "seconds": 2} if slow else {}
            Thing("first", ResourceOptions(depends_on=[a]), size=size, **gate)
        for name in extra:
            Thing(name, of=a.made)
        pulumi.export("url", a.made)

    return run


def server(fail: str) -> Program:
    """Needs the database's address."""
    return lambda: Thing("server", of=pulumi.Config().require("url"), fail=fail)


def saga(size: int, *extra: str, fail: str = "", slow: str = "", **options: Any) -> Saga:
    """Two stacks, or three when it grows."""
    made = Saga("shop")
    first = made.add_stack("database", program=database(size, *extra, slow=slow), **options)
    if size > 1:
        made.add_stack("cache", program=lambda: Thing("cache", size=1))
    made.add_stack("server", program=server(fail), inputs={"url": first.output("url")})
    return made


async def ended(run: Any) -> Result:
    try:
        result: Result = await run
    except SagaEndedError as error:
        return error.result
    return result


async def test_old_stacks_are_put_back_and_new_ones_destroyed(lab: Lab) -> None:
    """In one run, in reverse order; the old program's preview shows no change."""
    first = await ended(up(saga(1)))
    assert first.state is SagaState.COMPLETED
    world = lab.things()

    result = await ended(up(saga(2, "x", "y", fail="at the end")))
    assert result.state is SagaState.COMPENSATED, result.leftovers
    steps = result.status.steps
    assert {name: step.how for name, step in steps.items()} == {
        "database": "restored",
        "cache": "destroyed",
        "server": "unchanged",
    }
    now = lab.things()
    again = {name for name in now if name.startswith("first-")}
    assert {name for name in now if name not in again} == {
        name for name in world if not name.startswith("first-")
    }
    assert len(again) == 1
    evidence = next(
        entry.event.evidence
        for entry in _history()
        if isinstance(entry.event, ev.StepCompensated) and entry.event.step == "database"
    )
    assert [one["urn"].rpartition("::")[2] for one in evidence["renewed"]] == ["first"]
    seen = await preview(saga(1))
    assert all(step.changes_nothing for step in seen.steps)
    assert all("restore" in step.foreseen.undo for step in seen.steps)


async def test_one_failing_stack_is_put_back(lab: Lab) -> None:
    """A saga of one step: what users of `pulumi up` ask for."""

    def program(size: int, fail: str = "") -> Program:
        def run() -> None:
            a = Thing("a", size=size, fixed=size)
            Thing("b", of=a.made, fail=fail)

        return run

    def one(program: Program) -> Saga:
        made = Saga("one")
        made.add_stack("only", program=program, compensation_retry=Retry(attempts=2, delay=0))
        return made

    await ended(up(one(program(1))))
    world = lab.things()
    result = await ended(up(one(program(2, "b fails"))))
    assert result.state is SagaState.COMPENSATED, result.leftovers
    assert lab.things() == world


async def test_a_stack_changed_by_somebody_else_is_named(lab: Lab) -> None:
    """Between the failed run and its rollback, another tool has brought it up."""
    await ended(up(saga(1)))
    grown = Saga("shop", on_failure="stop")
    first = grown.add_stack("database", program=database(2))
    grown.add_stack("server", program=server("here"), inputs={"url": first.output("url")})
    assert (await ended(up(grown))).state is SagaState.FAILED
    ref = lab.place.ref(project="shop-database")
    other = await lab.place.up(database(3, "theirs"), ref=ref)
    assert other.failure is None
    world = lab.things()
    result = await ended(rollback(saga=grown))
    assert result.state is SagaState.FAILED
    assert any("somebody else" in left.reason for left in result.leftovers)
    assert lab.things() == world


RUNNER = """
import asyncio, sys
from alma.runner import up
from tests.restore.test_saga import ended, saga

asyncio.run(ended(up(saga(2, "x", "y", fail="at the end"))))
"""


@pytest.mark.parametrize("victim", ["runner", "cli"])
async def test_killed_half_way_it_comes_to_the_same_end(lab: Lab, victim: str) -> None:
    """kill -9 while the restore makes again what the update had deleted."""
    note = lab.world.parent / "slow"
    begun = Path(f"{note}.begun")
    await ended(up(saga(1, slow=str(note))))
    await asyncio.to_thread(begun.unlink)
    script = lab.place.root / "runner.py"
    script.write_text(RUNNER)
    runner = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, str(script)], env=environment()
    )
    try:
        await until(begun.exists, 60)
        if victim == "cli":
            os.kill(_cli(lab.place), signal.SIGKILL)
            await asyncio.to_thread(runner.wait, 60)
        else:
            runner.kill()
    finally:
        runner.kill()
        await asyncio.to_thread(runner.wait, 60)
    result = await ended(resume(saga=saga(2, "x", "y", fail="at the end")))
    names = sorted(name.rpartition("-")[0] for name in lab.things())
    if victim == "cli":
        # Its create was cut off: it may be there or not, and is named, never clean.
        assert result.state is SagaState.FAILED
        assert any(left.urn.endswith("::first") for left in result.leftovers)
        assert {"a", "server"} <= set(names)
    else:
        assert result.state is SagaState.COMPENSATED, result.leftovers
        assert names == ["a", "first", "server"]
    assert not {"x", "y", "cache"} & set(names)


PROJECT = """name: shop
runtime: yaml
resources:
  a:
    type: world:Thing
    properties: {{size: {size}, token: canary-{size}}}
    options: {{version: 1.0.0}}
  {name}:
    type: world:Thing
    properties: {{size: 1, fail: "{fail}"}}
    options: {{version: 1.0.0}}
outputs:
  url: ${{a.made}}
"""


async def test_a_project_of_another_language(lab: Lab) -> None:
    """Restored without its program, which is not the old one any more."""
    if shutil.which("pulumi-language-yaml") is None:
        pytest.skip("pulumi-language-yaml is not on PATH: no project can run here")
    work_dir = lab.place.root / "shop"
    work_dir.mkdir()

    def one(**parts: Any) -> Saga:
        (work_dir / "Pulumi.yaml").write_text(PROJECT.format(**parts))
        made = Saga("projects")
        made.add_stack("shop", work_dir=work_dir)
        return made

    first = await ended(up(one(size=1, name="b", fail="")))
    assert first.state is SagaState.COMPLETED, first.error
    world = lab.things()
    result = await ended(up(one(size=2, name="c", fail="here")))
    assert result.state is SagaState.COMPENSATED, (result.error, result.leftovers)
    assert lab.things() == world
    seen = await preview(one(size=1, name="b", fail=""))
    assert all(step.changes_nothing for step in seen.steps), seen


def _history() -> list[Any]:
    with open_journal(Settings().where, write=False) as journal:
        return journal.events(journal.resolve("latest"))


def _cli(place: Place) -> int:
    """The pid of the CLI that works on a stack of this test, from its lock."""
    import json

    (lock,) = place.live_locks()
    return int(json.loads(lock.read_text())["pid"])
