"""Of which events somebody is told."""

from __future__ import annotations

from datetime import UTC, datetime

from alma import Saga, Webhook
from alma.core import events as ev
from alma.core.notice import KINDS, due, sentence
from alma.core.state import fold


def recorded(event: ev.Event) -> ev.Recorded:
    return ev.Recorded(run="r2", seq=1, at=datetime.now(UTC), epoch=1, event=event)


def test_a_run_that_takes_down_what_has_expired_says_so() -> None:
    saga = Saga("shop", notify=[Webhook("https://x.invalid", on=[*KINDS])])
    saga.add_step("one", print, "none")
    plan = saga.definition()
    for reaps, notices in (("", ["started"]), ("r1", ["started", "expired"])):
        entry = recorded(
            ev.RunCreated(
                saga="shop",
                stack="dev",
                kind="destroy",
                definition=plan.to_json(),
                digest=plan.digest,
                reaps=reaps,
                notify=tuple(one for one, _ in saga.notify),
            )
        )
        run = fold([entry])
        assert [notice for _, notice in due(run, entry)] == notices
    assert sentence(run, "expired", entry.event).endswith("the time of run r1 is over")
