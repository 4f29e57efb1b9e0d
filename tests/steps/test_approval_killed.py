"""Killed as an approval is asked or its answer is taken: the run goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import SagaState
from alma.runner import resume, up
from alma.testing import Crash, JournalFault, JournalFaults
from tests.runner.helpers import settings
from tests.steps.test_approval import asked, on, saga, say, waiting, world

MOMENTS = {
    "before it is asked": (JournalFault(nth=7, effect="crash_before"), 0),
    "after it is asked": (JournalFault(nth=7, effect="crash_after"), 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_around_the_asking(journal: Path, moment: str) -> None:
    """What was asked is asked; whoever resumes goes on from there."""
    fault, count = MOMENTS[moment]
    engine = world()
    faults = JournalFaults([fault])
    with pytest.raises(Crash):
        await up(saga(), settings=settings(engine, journal, open_journal=faults))
    assert len(asked(journal)) == count
    if not count:
        assert (await on(journal, engine)).exit_code == 8
    say(journal, engine)
    result = await on(journal, engine)
    assert result.state is SagaState.COMPLETED


@pytest.mark.parametrize("effect", ["crash_before", "crash_after"])
@pytest.mark.parametrize("approved", [True, False])
async def test_killed_as_the_answer_is_taken(journal: Path, effect: Any, *, approved: bool) -> None:
    """In doubt, the answer is read once more: it stands in the journal."""
    engine = world()
    await waiting(journal, engine)
    say(journal, engine, approved=approved)
    faults = JournalFaults([JournalFault(nth=3, effect=effect)])
    with pytest.raises(Crash):
        await resume(saga=saga(), settings=settings(engine, journal, open_journal=faults))
    result = await on(journal, engine)
    assert result.state is (SagaState.COMPLETED if approved else SagaState.COMPENSATED)
    assert len(asked(journal)) == 1
