"""Only what has changed is run: what is as its last run left it costs nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import DefinitionError, Saga, SagaState, Secret
from alma.runner import destroy, up
from alma.runner.preview import preview
from alma.testing import FakeEngine
from alma.testing.world import FakeProgram
from tests.runner.helpers import ended, history, program, settings


@dataclass
class Size:
    """An object that a program holds."""

    number: int = 1


def _program(size: Any) -> Any:
    def make() -> Any:
        return size

    return make


def _saga(*, size: Any = 1, config: Any = "one", secret: str = "s-1234", **options: Any) -> Saga:
    saga = Saga("s")
    a = saga.add_stack("a", _program(size), config={"key": config, "word": Secret(secret)})
    b = saga.add_stack("b", program, inputs={"url": a.output("url")}, **options)
    saga.add_stack("c", program, after=[b])
    return saga


def _why(journal: Path) -> dict[str, str]:
    """Of the last run: why each of its steps was run."""
    started = (one.event for one in history(journal) if one.event.type == "StepStarted")
    return {event.step: event.why for event in started}


async def test_what_is_as_it_was_is_left_alone(journal: Path) -> None:
    """Again and again: its outputs are there, and a whole run costs no operation."""
    engine = FakeEngine()
    await up(_saga(), settings=settings(engine, journal))
    first = dict(engine.counts)
    for _ in range(2):
        result = await up(_saga(), settings=settings(engine, journal, changed=True))
        assert result.state is SagaState.COMPLETED
        assert result.outputs["b"] == {"url": "fake://"}
        assert all(step.unchanged_since for step in result.status.steps.values())
    assert {key: n for key, n in engine.counts.items() if key[0] != "inspect"} == {
        key: n for key, n in first.items() if key[0] != "inspect"
    }
    found = await preview(_saga(), settings(engine, journal, changed=True))
    assert all(step.since and step.changes_nothing for step in found.steps)


@pytest.mark.parametrize(
    ("change", "step", "why"),
    [
        ({"size": 2}, "a", "program changed"),
        ({"config": "two"}, "a", "config `key` changed"),
        ({"secret": "s-4321"}, "a", "config `word` changed"),
        ({"compensation": "retain"}, "b", "its options, or what it watches, changed"),
    ],
)
async def test_what_has_changed_is_run_and_says_why(
    journal: Path, change: Any, step: str, why: str
) -> None:
    """And so it is foreseen; what depends on it is left alone where its outputs are the same."""
    engine = FakeEngine()
    await up(_saga(), settings=settings(engine, journal))
    changed = settings(engine, journal, changed=True)
    found = await preview(_saga(**change), changed)
    assert {one.name: one.why for one in found.steps if one.why} == {step: why}
    await up(_saga(**change), settings=changed)
    assert _why(journal) == {step: why}


async def test_an_object_that_a_program_holds_counts_by_what_it_holds(journal: Path) -> None:
    """Where nobody can look into it, the step is run."""
    engine = FakeEngine()
    await up(_saga(size=Size()), settings=settings(engine, journal))
    await up(_saga(size=Size()), settings=settings(engine, journal, changed=True))
    assert _why(journal) == {}
    await up(_saga(size=Size(2)), settings=settings(engine, journal, changed=True))
    assert _why(journal) == {"a": "program changed"}


async def test_what_nobody_can_look_into_runs_and_is_named(journal: Path) -> None:
    """A lock, a client."""
    engine = FakeEngine()
    for changed in (False, True):
        saga = _saga(size=threading.Lock())
        await up(saga, settings=settings(engine, journal, changed=changed))
    assert _why(journal) == {
        "a": "its program holds an object that cannot be compared (_thread.lock)"
    }


async def test_an_output_that_has_changed_is_named(journal: Path) -> None:
    """By the step that consumes it."""
    engine = FakeEngine()
    await up(_saga(), settings=settings(engine, journal))
    engine.programs["s-a"] = FakeProgram(outputs={"url": "other://"})
    await up(_saga(size=2), settings=settings(engine, journal, changed=True))
    assert _why(journal) == {"a": "program changed", "b": "input `url` of `a` changed"}


async def test_a_state_that_somebody_else_has_changed_is_run(journal: Path) -> None:
    """So is one that is gone."""
    engine = FakeEngine()
    await up(_saga(), settings=settings(engine, journal))
    key = ("s-b", "dev")
    engine.reality.create(key, replace(engine.world[key].resources[0], urn="urn:x::y::z::w"))
    del engine.reality.states["s-c", "dev"]
    await up(_saga(), settings=settings(engine, journal, changed=True))
    assert _why(journal) == dict.fromkeys("bc", "state changed by somebody else")


async def test_after_a_run_that_did_not_complete_a_step_it_is_run(journal: Path) -> None:
    """A destroyed one too; one that was left alone by a run that failed is as it was."""
    engine = FakeEngine()

    def saga(*, fails: bool) -> Saga:
        def act() -> None:
            if fails:
                raise RuntimeError("no")

        saga = _saga()
        saga.add_step(act, "none", name="last")
        return saga

    changed = settings(engine, journal, changed=True)
    await up(saga(fails=False), settings=settings(engine, journal))
    result = await ended(up(saga(fails=True), settings=changed))
    assert result.state is SagaState.COMPENSATED
    assert all(state.resources for state in engine.world.values())
    await up(saga(fails=False), settings=changed)
    assert _why(journal) == {"last": "it has no state to be compared with"}
    await destroy(saga(fails=False), settings=settings(engine, journal))
    await up(saga(fails=False), settings=changed)
    assert set(_why(journal)) == {"a", "b", "c", "last"}
    assert "a destroy) ended COMPLETED" in _why(journal)["a"]


async def test_watched_files_count(journal: Path, tmp_path: Path) -> None:
    """One that is not there is refused."""
    engine, file = FakeEngine(), tmp_path / "page.html"
    file.write_text("one")
    await up(_saga(watch=[file]), settings=settings(engine, journal))
    changed = settings(engine, journal, changed=True)
    await up(_saga(watch=[file]), settings=changed)
    assert _why(journal) == {}
    file.write_text("two")
    await up(_saga(watch=[file]), settings=changed)
    assert _why(journal) == {"b": "its options, or what it watches, changed"}
    with pytest.raises(DefinitionError) as refused:
        await up(_saga(watch=[tmp_path / "none*"]), settings=changed)
    assert "nothing is there" in refused.value.message
