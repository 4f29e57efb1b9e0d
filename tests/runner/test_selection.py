"""A run of some steps: the others are neither run nor undone, and what they gave is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import AlmaError, Context, DefinitionError, Saga, SagaState, Secret
from alma.core.selection import Selection
from alma.errors import AuthenticationError, RefusedError
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.runner import destroy, resume, rollback, up
from alma.runner.preview import preview
from alma.runner.settings import Settings
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import ended, history, program, settings


def _saga(seen: list[Any] | None = None, *, fails: str = "") -> Saga:
    """a → token → b → c, of which `token` is an action with a secret and `c` an action."""
    seen = [] if seen is None else seen

    def notify(context: Context) -> None:
        seen.append(("do", context.inputs["url"], context.inputs["token"].value))
        if fails == "c":
            raise RuntimeError("no")

    def withdraw(context: Context) -> None:
        seen.append(("undo", context.inputs["url"], context.inputs["token"].value))

    saga = Saga("s")
    a = saga.add_stack("a", program)
    token = saga.add_step(lambda: {"key": Secret("k-1234")}, print, name="token")
    b = saga.add_stack("b", program, inputs={"url": a.output("url")})
    saga.add_step(
        notify,
        withdraw,
        name="c",
        inputs={"url": b.output("url"), "token": token.output("key")},
        after=[b],
    )
    return saga


def _some(engine: FakeEngine, journal: Path, *steps: str, **more: Any) -> Settings:
    return settings(engine, journal, selection=Selection(steps=steps, **more))


def _last(journal: Path) -> Any:
    with open_journal(journal, write=False) as reader:
        return load_run(reader, reader.resolve("latest"))


async def test_named_steps_run_with_what_they_depend_on_and_the_journal_says_so(
    journal: Path,
) -> None:
    """Nothing is touched of the others."""
    engine = FakeEngine()
    result = await up(_saga(), settings=_some(engine, journal, "a"))
    assert set(result.status.steps) == {"a"}
    assert set(engine.world) == {("s-a", "dev")}
    run = _last(journal)
    assert run.left_out == ("token", "b", "c")
    assert not run.is_whole


async def test_what_is_left_out_gives_its_outputs_and_a_failure_does_not_undo_it(
    journal: Path,
) -> None:
    """From a stack's state, and sealed ones of an action from the journal."""
    engine, seen = FakeEngine(), []
    await up(_saga(), settings=settings(engine, journal))
    before = dict(engine.world)
    result = await ended(
        up(_saga(seen, fails="c"), settings=_some(engine, journal, "c", exclusive=True))
    )
    assert result.state is SagaState.COMPENSATED
    assert seen == [("do", "fake://", "k-1234"), ("undo", "fake://", "k-1234")]
    assert engine.world == before
    assert engine.counts["up", "s-a"] == engine.counts["up", "s-b"] == 1
    assert "k-1234" not in "".join(map(repr, history(journal)))


async def test_an_undo_is_given_what_the_run_began_with(journal: Path) -> None:
    """Whatever became meanwhile of the steps that it left out."""
    engine, seen = FakeEngine(), []
    await up(_saga(), settings=settings(engine, journal))
    saga = _saga(seen, fails="c")
    saga.on_failure = "stop"
    await ended(up(saga, settings=_some(engine, journal, "c", exclusive=True)))
    engine.reality.states.clear()
    result = await ended(rollback(saga=_saga(seen), settings=settings(engine, journal)))
    assert result.state is SagaState.COMPENSATED
    assert seen == [(what, "fake://", "k-1234") for what in ("do", "undo")]


async def test_a_resume_is_about_the_same_steps(journal: Path) -> None:
    """Also where the saga has more by now; and `up` with other steps is refused."""
    fault = Fault(project="s-b", operation="up", effect="crash", after=1)
    engine = FakeEngine(faults=[fault])
    with pytest.raises(Crash):
        await up(_saga(), settings=_some(engine, journal, "b"))
    engine = engine.restarted()
    for other in (_some(engine, journal, "a"), settings(engine, journal)):
        with pytest.raises(RefusedError) as refused:
            await up(_saga(), settings=other)
        assert "other steps: a, b" in refused.value.message
    result = await resume(saga=_saga(), settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    assert set(result.status.steps) == {"a", "b"}


async def test_a_destroyed_step_brings_its_dependents_and_no_others(journal: Path) -> None:
    """And a later whole destroy still knows what the action of a run before it gave."""
    engine, seen = FakeEngine(), []
    await up(_saga(), settings=settings(engine, journal))
    result = await destroy(_saga(seen), settings=_some(engine, journal, "b"))
    assert set(result.status.steps) == {"b", "c"}
    assert seen == [("undo", "fake://", "k-1234")]
    assert engine.world["s-a", "dev"].resources
    assert not engine.world["s-b", "dev"].resources
    await destroy(_saga(seen), settings=settings(engine, journal))
    assert not engine.world["s-a", "dev"].resources
    assert seen[-1] == ("undo", "fake://", "k-1234")


async def _changed(engine: FakeEngine, _journal: Path) -> None:
    """Somebody adds to a stack."""
    key = ("s-a", "dev")
    engine.reality.create(key, replace(engine.world[key].resources[0], urn="urn:x::y::z::w"))


async def _destroyed(engine: FakeEngine, journal: Path) -> None:
    await destroy(_saga(), settings=settings(engine, journal))


async def _nothing(_engine: FakeEngine, _journal: Path) -> None:
    """It never ran."""


@pytest.mark.parametrize(
    ("first", "then", "steps", "words"),
    [
        (True, _changed, ("b",), "its state is not what run"),
        (True, _destroyed, ("b",), "has destroyed it"),
        (False, _nothing, ("b",), "its state does not have it"),
        (False, _nothing, ("c",), "cannot be used"),
    ],
)
async def test_outputs_that_nobody_has_are_refused_before_anything_starts(
    journal: Path, first: bool, then: Any, steps: tuple[str, ...], words: str
) -> None:
    """By `up` and by its preview, in the same words."""
    engine = FakeEngine()
    if first:
        await up(_saga(), settings=settings(engine, journal))
    await then(engine, journal)
    with open_journal(journal, write=False) as reader:
        runs = len(reader.runs(limit=None))
    for call in (up, preview):
        with pytest.raises(DefinitionError) as refused:
            await call(_saga(), settings=_some(engine, journal, *steps, exclusive=True))
        assert words in refused.value.message
    with open_journal(journal, write=False) as reader:
        assert len(reader.runs(limit=None)) == runs


async def test_a_sealed_output_without_its_key_is_refused(journal: Path) -> None:
    """With the exit code of what cannot be decrypted."""
    engine = FakeEngine()
    await up(_saga(), settings=settings(engine, journal))
    (key,) = journal.parent.glob("*.key")
    key.unlink()
    with pytest.raises(AlmaError) as refused:
        await up(_saga(), settings=_some(engine, journal, "c", exclusive=True))
    assert refused.value.exit_code == AuthenticationError.exit_code


async def test_a_run_after_a_partial_one_knows_what_the_runs_before_knew(journal: Path) -> None:
    """A stack that the last run has left out is not looked for where it never was."""

    class Here(FakeEngine):
        moved = ""

        def where(self, ref: Any) -> str:
            return "s3://elsewhere" if ref.project == self.moved else "s3://here"

        async def check(self, refs: Any = (), **_: Any) -> Mapping[str, str]:  # noqa: ARG002
            return {"backend": "s3://here"}

    engine = Here()
    await up(_saga(), settings=settings(engine, journal))
    await up(_saga(), settings=_some(engine, journal, "a"))
    engine.moved = "s-b"
    with pytest.raises(DefinitionError) as refused:
        await up(_saga(), settings=settings(engine, journal))
    assert 'Step "b": its stack s-b is in s3://here since run' in refused.value.message


async def test_python_selects_as_the_command_line_does(journal: Path) -> None:
    """One name stands for a list of one."""
    saga = Saga("p")
    saga.add_step(lambda: 1, "none", name="x", after=[])
    saga.add_step(lambda: 2, "none", name="y", after=[])
    result = await saga.execute(journal=journal, steps="x")
    assert set(result.outputs) == {"x"}
    result = await saga.execute(journal=journal, exclude=["x"])
    assert set(result.outputs) == {"y"}
