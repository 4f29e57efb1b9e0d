"""A look at drift: what it tells and keeps, and never `none` over what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alma.core import events as ev
from alma.errors import JournalError, RefusedError
from alma.journal import Journal, open_journal
from alma.runner import up
from alma.runner.drift import SagaDrift, drift
from alma.saga.arguments import selection_of
from alma.testing import Crash, FakeEngine, Fault
from tests.runner.helpers import settings, three


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
