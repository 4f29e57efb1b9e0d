"""A look at drift: each step by its kind, and never `none` over what is not known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import Request, Saga, Secret
from alma.cli.program import program as cli
from alma.core import events as ev
from alma.errors import JournalError, RefusedError, RunNotFoundError
from alma.journal import Journal, open_journal
from alma.pulumi.engine import Checkpoint, StackRef
from alma.runner import destroy, up
from alma.runner.drift import SagaDrift, drift, drift_of_run
from alma.runner.step_drift import StepDrift
from alma.saga.arguments import selection_of
from alma.testing import Crash, FakeEngine, FakeProgram, Fault
from tests.runner.helpers import ended, program, settings, three
from tests.steps.api import serve
from tests.steps.test_saga import engine as regions
from tests.steps.test_saga import world_wide


def verdicts(found: SagaDrift) -> dict[str, str]:
    return {step.step: step.verdict for step in found.steps}


def lose(fake: FakeEngine, name: str) -> None:
    """Somebody deletes it at the provider."""
    [urn] = [one for one in fake.reality.things if one.endswith(name)]
    fake.reality.things.discard(urn)


async def test_what_was_taken_away_is_told_and_what_could_not_be_asked_as_well(
    journal: Path,
) -> None:
    """Three steps: one has drifted, one's provider does not answer, one is as it was."""
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    assert (await drift(three(), settings=settings(fake, journal))).exit_code == 0
    lose(fake, "s-a::fake:index:Thing::one")
    fake = fake.restarted([Fault(project="s-b", operation="drift")])
    before = dict(fake.world)
    found = await drift(three(), settings=settings(fake, journal))
    assert verdicts(found) == {"a": "drifted", "b": "unknown", "c": "none"}
    assert found.exit_code == 12
    only = await drift(
        three(), settings=settings(fake.restarted(), journal, selection=selection_of(exclude="a"))
    )
    assert verdicts(only) == {"b": "none", "c": "none"}
    fake = fake.restarted([Fault(project="s-b", operation="drift")])
    silent = await drift(
        three(), settings=settings(fake, journal, selection=selection_of(steps="b"))
    )
    assert (verdicts(silent), silent.exit_code) == ({"b": "unknown"}, 1)
    assert fake.world == before


async def test_the_journal_knows_when_each_resource_was_first_seen_so(journal: Path) -> None:
    """A look that cannot tell ends nothing; one that finds it as it is to be does."""
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))

    async def since(engine: FakeEngine) -> Mapping[str, str]:
        found = await drift(three(), settings=settings(engine, journal))
        return found.steps[0].since

    lose(fake, "s-a::fake:index:Thing::one")
    [(urn, first)] = (await since(fake)).items()
    fault = Fault(project="s-a", operation="drift")
    assert await since(fake.restarted([fault])) == {}
    lose(fake, "s-a::fake:index:Thing::two")
    again = await since(fake)
    assert again[urn] == first
    assert len(again) == 2
    assert first < max(again.values())
    fake.reality.things.add(urn)
    assert urn not in await since(fake)
    fake.reality.things.discard(urn)
    assert (await since(fake))[urn] > first
    with open_journal(journal, write=False) as reader:
        assert len(reader.runs()) == 1
        rows = reader.observations("s/dev")
        assert [row.verdict for row in rows if row.step == "a"] == [
            "drifted",
            "unknown",
            "drifted",
            "drifted",
            "drifted",
        ]
        assert reader.verify().ok


async def test_what_cannot_be_kept_is_told_all_the_same(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    lose(fake, "s-a::fake:index:Thing::one")
    first = await drift(three(), settings=settings(fake, journal))

    def full(*_: Any) -> None:
        raise JournalError("Cannot keep what was seen: the disk is full.")

    monkeypatch.setattr(Journal, "observe", full)
    lose(fake, "s-a::fake:index:Thing::two")
    found = await drift(three(), settings=settings(fake, journal))
    assert found.exit_code == 12
    assert [note for note in found.notes if "the disk is full" in note]
    dates = found.steps[0].since
    assert len(dates) == 2
    assert first.steps[0].since.items() <= dates.items()


async def test_what_is_not_up_is_no_drift_and_no_answer_either(journal: Path) -> None:
    fake = FakeEngine()
    with pytest.raises(RunNotFoundError, match="There is no run of s/dev"):
        await drift(three(), settings=settings(fake, journal))
    await up(three(), settings=settings(fake, journal))
    await destroy(three(), settings=settings(fake, journal))
    found = await drift(three(), settings=settings(fake, journal))
    assert set(verdicts(found).values()) == {"absent"}
    assert found.exit_code == 0


async def test_a_step_that_the_file_has_no_more_is_still_looked_at(journal: Path) -> None:
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    lose(fake, "s-c::fake:index:Thing::two")
    less = Saga("s")
    a = less.add_stack("a", program=program)
    less.add_stack("b", program=program, inputs={"url": a.output("url")})
    found = await drift(less, settings=settings(fake, journal))
    assert verdicts(found) == {"a": "none", "b": "none", "c": "drifted"}


async def test_also_after_a_run_that_did_not_know_it(journal: Path) -> None:
    """Until somebody has taken it down; and one of two that are gone can be asked alone."""
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    less = Saga("s")
    less.add_stack("a", program=program)
    await up(less, settings=settings(fake, journal))
    lose(fake, "s-c::fake:index:Thing::two")
    wanted = {"a": "none", "b": "none", "c": "drifted"}
    assert verdicts(await drift(less, settings=settings(fake, journal))) == wanted
    assert verdicts(await drift_of_run("latest", settings(fake, journal))) == wanted
    alone = replace(settings(fake, journal), selection=selection_of(steps=["c"]))
    assert verdicts(await drift(less, settings=alone)) == {"c": "drifted"}
    only = replace(settings(fake, journal), selection=selection_of(steps=["b", "c"]))
    await destroy(three(), settings=only)
    wanted = {"a": "none", "b": "absent", "c": "absent"}
    assert verdicts(await drift(less, settings=settings(fake, journal))) == wanted
    await up(less, settings=settings(fake, journal))
    assert verdicts(await drift(less, settings=settings(fake, journal))) == {"a": "none"}


async def test_a_stack_that_is_gone_from_its_backend_is_missing(journal: Path) -> None:
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    del fake.world["s-b", "dev"]
    found = await drift(three(), settings=settings(fake, journal))
    assert [one.op for one in found.steps[1].drift.resources] == ["missing"]


@pytest.mark.parametrize("before", [True, False])
async def test_what_a_run_was_cut_off_before_is_as_it_was_before(
    journal: Path, *, before: bool
) -> None:
    """Nothing of it is begun: what is there is what the run has found, or nothing."""
    fake = FakeEngine()
    if before:
        await up(three(), settings=settings(fake, journal))
    fake = fake.restarted([Fault(project="s-a", operation="up", effect="crash")])
    with pytest.raises(Crash):
        await up(three(), settings=settings(fake, journal))
    fake = fake.restarted()
    found = await fake.inspect(StackRef(project="s-b", stack="dev"))
    started = ev.StepStarted(
        step="b", record_existed=before, held=found.held, fingerprint=found.fingerprint
    )
    with open_journal(journal, write=True) as kept:
        run = kept.resolve("latest")
        with kept.acquire("s/dev", run) as lease:
            kept.append(run, started, lease)

    async def looked() -> StepDrift:
        [one] = (await drift(three(), settings=settings(fake, journal, selection=alone))).steps
        return one

    alone = selection_of(steps="b")
    assert (await looked()).verdict == ("none" if before else "absent")
    if before:
        fake.reality.put(("s-b", "dev"), Checkpoint(exists=True))
        assert [one.op for one in (await looked()).drift.resources] == ["missing"]


async def test_what_a_failed_step_has_made_is_missed_as_well(journal: Path) -> None:
    """Nobody has looked at its state when it failed."""
    fake = FakeEngine().restarted([Fault(project="s-b", operation="up", after=1)])
    await ended(up(three(on_failure="stop"), settings=settings(fake, journal)))
    fake = fake.restarted()
    wanted = {"a": "none", "b": "none", "c": "absent"}
    assert verdicts(await drift(three(), settings=settings(fake, journal))) == wanted
    fake.reality.put(("s-b", "dev"), Checkpoint(exists=True))
    found = await drift(three(), settings=settings(fake, journal))
    assert [one.op for one in found.steps[1].drift.resources] == ["missing"]


async def test_while_a_run_is_under_way_it_is_refused(journal: Path) -> None:
    """Also where one begins between the first question and the last."""
    fake = FakeEngine()
    await up(three(), settings=settings(fake, journal))
    with (
        open_journal(journal, write=True) as writer,
        writer.acquire("s/dev", "r"),
        pytest.raises(RefusedError, match="is under way"),
    ):
        await drift(three(), settings=settings(fake, journal))

    async def begun(*_: Any) -> Any:
        with open_journal(journal, write=True) as writer, writer.acquire("s/dev", "r2"):
            pass
        return await FakeEngine.drift(fake, *_)

    fake.drift = begun  # type: ignore[method-assign, assignment]
    with pytest.raises(RefusedError, match="has begun meanwhile"):
        await drift(three(), settings=settings(fake, journal))


async def test_sagas_within_are_looked_at_by_their_own_steps(journal: Path) -> None:
    """With the file and without it."""
    fake = regions()
    await up(world_wide(), settings=settings(fake, journal))
    lose(fake, "app-us::fake:index:Thing::b")
    wanted = {
        "base": "none",
        "regions/eu/net": "none",
        "regions/eu/app": "none",
        "regions/us/net": "none",
        "regions/us/app": "drifted",
        "dns": "none",
    }
    found = await drift(world_wide(), settings=settings(fake, journal))
    assert verdicts(found) == wanted
    [parent] = {step.run for step in found.steps if step.step == "base"}
    assert verdicts(await drift_of_run(parent, settings(fake, journal))) == wanted


async def test_nothing_within_is_left_out(journal: Path) -> None:
    """After a run that was undone, and of what the inner saga's file has no more."""

    def outer(*inner: str, fails: bool = False) -> Saga:
        part, saga = Saga("part"), Saga("outer")
        for name in inner:
            part.add_stack(name, program=program)
        whole = saga.add_saga("part", part)
        saga.add_step(lambda: 1 / 0 if fails else None, "none", name="last", after=[whole])
        return saga

    fake = FakeEngine()
    await up(outer("a", "b"), settings=settings(fake, journal))
    failed = await ended(up(outer("a", "b", fails=True), settings=settings(fake, journal)))
    assert failed.state.name == "COMPENSATED"
    wanted = {"part/a": "none", "part/b": "none", "last": "unasked"}
    found = await drift(outer("a", "b"), settings=settings(fake, journal))
    assert verdicts(found) == wanted
    fake.reality.things.clear()
    found = await drift(outer("a"), settings=settings(fake, journal))
    assert verdicts(found) == wanted | {"part/a": "drifted", "part/b": "drifted"}


async def test_an_item_that_its_saga_has_no_more_is_still_looked_at(journal: Path) -> None:
    """Nobody has taken it down."""
    fake = regions()
    await up(world_wide(), settings=settings(fake, journal))
    await up(world_wide(items=["eu"]), settings=settings(fake, journal))
    lose(fake, "app-us::fake:index:Thing::b")
    found = await drift(world_wide(items=["eu"]), settings=settings(fake, journal))
    assert verdicts(found)["regions/us/net"] == "none"
    assert verdicts(found)["regions/us/app"] == "drifted"
    await destroy(world_wide(items=["eu"]), settings=settings(fake, journal))
    found = await drift(world_wide(items=["eu"]), settings=settings(fake, journal))
    assert set(verdicts(found).values()) == {"absent"}


async def test_while_temporal_drives_a_run_it_is_refused(journal: Path) -> None:
    """Between its operations it holds no lock."""
    crash = Fault(project="s-b", operation="up", effect="crash", after=1)
    fake = FakeEngine().restarted([crash])
    with pytest.raises(Crash):
        await up(three(), settings=settings(fake, journal))
    with open_journal(journal, write=True) as kept:
        run = kept.resolve("latest")
        with kept.acquire("s/dev", run) as lease:
            workflow = ev.Workflow(id="alma", address="localhost:7233", namespace="default")
            kept.append(
                run,
                ev.RunnerAttached(process=lease.process, actor=lease.actor, workflow=workflow),
                lease,
            )
    with pytest.raises(RefusedError, match="is under way"):
        await drift(three(), settings=settings(fake.restarted(()), journal))


@pytest.mark.parametrize("by_journal", [False, True])
async def test_requests_and_commands_are_asked_by_their_checks(
    journal: Path, tmp_path: Path, *, by_journal: bool
) -> None:
    """A secret that they are given stays one; without a check they cannot be told."""
    made = tmp_path / "made"
    with serve() as api:

        def saga() -> Saga:
            saga = Saga("s")
            record = saga.add_http(
                "record",
                do=Request("POST", f"{api.url}/records", json={"key": Secret("hush-canary")}),
                undo=Request("DELETE", f"{api.url}/records/{{outputs.id}}"),
                check=Request("GET", f"{api.url}/records/{{outputs.id}}"),
            )
            saga.add_command(
                "file",
                do=["touch", str(made)],
                undo=["rm", str(made)],
                check=["test", "-e", str(made)],
                inputs={"id": record.output("id")},
            )
            saga.add_command("opaque", do=["true"], undo="none")
            return saga

        async def look() -> SagaDrift:
            if by_journal:
                return await drift_of_run("latest", settings(FakeEngine(), journal))
            return await drift(saga(), settings=settings(FakeEngine(), journal))

        await up(saga(), settings=settings(FakeEngine(), journal))
        found = await look()
        assert verdicts(found) == {"record": "none", "file": "none", "opaque": "unasked"}
        assert found.exit_code == 0
        api.records.clear()
        made.unlink()
        found = await look()
        assert verdicts(found) == {"record": "drifted", "file": "drifted", "opaque": "unasked"}
        assert "canary" not in str(found)
        api.answers.append(("GET", 500, {}))
        assert verdicts(await look())["record"] == "unknown"


async def test_what_must_be_ready_is_asked_where_a_kind_has_no_way_of_its_own(
    journal: Path,
) -> None:
    up_now = True

    def saga() -> Saga:
        saga = Saga("s")
        saga.add_step(lambda: {"url": "x"}, lambda: None, name="act", ready=lambda: up_now)
        return saga

    await up(saga(), settings=settings(FakeEngine(), journal))
    assert verdicts(await drift(saga(), settings=settings(FakeEngine(), journal))) == {
        "act": "none"
    }
    up_now = False
    found = await drift(saga(), settings=settings(FakeEngine(), journal))
    [lost] = found.steps[0].drift.resources
    assert lost.why == "it is not ready any more: its function says no"


@pytest.mark.parametrize(
    ("exits", "wanted"), [("none", 0), ("lost", 12), ("silent", 1)], ids=["none", "lost", "silent"]
)
async def test_the_command_tells_it_and_its_exit_code(
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exits: str,
    wanted: int,
) -> None:
    """Its document has all; its text each resource."""
    fake = FakeEngine({"s-a": FakeProgram(resources=("one",))})
    await up(three(), settings=settings(fake, journal))
    if exits == "lost":
        lose(fake, "s-a::fake:index:Thing::one")
    if exits == "silent":
        fake = fake.restarted([Fault(project="s-a", operation="drift")])
    found = await drift(three(), settings=settings(fake, journal))
    monkeypatch.setattr("alma.cli.commands.drift._look", lambda *_: found)
    for words in (["drift"], ["drift", "--json"]):
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        assert left.value.code == wanted
    said, _, document = capsys.readouterr().out.partition("{")
    assert ("delete fake:index:Thing one (s-a-one)" in said) is (exits == "lost")
    told = json.loads("{" + document)
    assert (
        told["steps"][0]["verdict"]
        == {"none": "none", "lost": "drifted", "silent": "unknown"}[exits]
    )
    assert told["exit_code"] == wanted
