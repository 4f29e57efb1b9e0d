"""Who is told of what, and what is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, NotifyCommand, Saga, SagaInterrupted, Secret, Slack, Webhook
from alma.core import events as ev
from alma.journal import open_journal
from alma.runner.approve import answer, name_here
from alma.runner.intervene import abandon
from alma.runner.notices import beside
from alma.runner.settings import Settings
from tests.notices.receiver import Received, receiving
from tests.notices.tools import rows, saga, send, states
from tests.waiting import until


def striking(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """For a receiver: a Ctrl-C as soon as what it is told is waited for."""
    closing, close = threading.Event(), beside.Notices.close

    def closed(notices: beside.Notices) -> None:
        closing.set()
        close(notices)

    def strike() -> None:
        assert closing.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(beside.Notices, "close", closed)
    return strike


def test_a_signal_while_notices_are_waited_for_changes_no_end(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(striking(monkeypatch)) as hook:
        made = saga(Webhook(hook.url, on=["completed"]))
        assert made.run(journal=journal).state.name == "COMPLETED"


@pytest.mark.parametrize("notice", ["approved", "failed"])
def test_nor_does_it_end_a_decision_that_is_journaled(
    journal: Path, monkeypatch: pytest.MonkeyPatch, notice: str
) -> None:
    settings = Settings(journal=journal)
    with receiving() as hook:
        made = Saga("shop", notify=[Webhook(hook.url, on=[notice])])
        made.add_step("one", print, print)
        made.add_approval("go", [name_here()])
        with pytest.raises(SagaInterrupted):
            made.run(journal=journal)
        hook.answers = [striking(monkeypatch)]
        if notice == "approved":
            answer("latest", "go", approved=True, reason="fine", settings=settings)
        else:
            asyncio.run(abandon("latest", reason="by hand", settings=settings))
        until(lambda: states(journal) == [(notice, "delivered")])


def test_of_a_run_that_temporal_drives_nobody_is_told_that_it_was_interrupted(
    journal: Path,
) -> None:
    """Between its operations nobody holds a lock of it."""
    with receiving() as hook:
        made = Saga("shop", notify=[Webhook(hook.url, on=["interrupted"])])
        made.add_step("one", print, "none")
        plan = made.definition()
        with open_journal(journal, write=True) as kept, kept.acquire("shop/dev", "r1") as lease:
            created = ev.RunCreated(
                saga="shop",
                stack="dev",
                kind="up",
                definition=plan.to_json(),
                digest=plan.digest,
                notify=tuple(one for one, _ in made.notify),
            )
            kept.create_run("r1", created, lease)
            workflow = ev.Workflow(id="alma", address="localhost:7233", namespace="default")
            attached = ev.RunnerAttached(
                process=lease.process, actor=lease.actor, workflow=workflow
            )
            kept.append("r1", attached, lease)
        send(journal)
        assert rows(journal) == []
    assert hook.received == []


def test_an_approval_is_told_of_once_and_so_is_the_answer(journal: Path) -> None:
    with receiving() as hook:
        on = ["waiting", "interrupted", "approved"]
        made = Saga("shop", notify=[Webhook(hook.url, on=on)])
        made.add_approval("go", [name_here()])
        made.add_step("one", print, "none")
        for _ in range(2):
            with pytest.raises(SagaInterrupted):
                made.run(journal=journal)
        answer("latest", "go", approved=True, reason="fine", settings=Settings(journal=journal))
    assert hook.told == ["waiting", "approved"]
    asked, answered = (one.json["data"]["approval"] for one in hook.received)
    assert (asked["step"], asked["approvers"]) == ("go", [name_here()])
    assert (answered["name"], answered["reason"]) == (name_here(), "fine")


def test_a_part_of_a_run_tells_by_its_own_notify_alone(journal: Path) -> None:
    with receiving() as outer, receiving() as inner:
        part = Saga("part", notify=[Webhook(inner.url, on=["completed"])])
        part.add_step("one", print, "none")
        made = Saga("whole", notify=[Webhook(outer.url, on=["completed"])])
        made.add_saga("part", part)
        made.run(journal=journal)
        until(lambda: len(inner.received) == 1)

    def target(one: Received) -> object:
        return one.json["data"]["target"]

    assert [*map(target, outer.received)] == ["whole/dev"]
    assert [*map(target, inner.received)] == ["part/dev"]


def test_what_is_missing_is_said_before_anything_is_begun(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DefinitionError, match="the environment variable HOOK is not set here"):
        saga(Slack(url_env="HOOK")).run(journal=journal)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Exception, match='notify "webhook" needs httpx, which is not installed'):
        saga(Webhook("https://x.invalid")).run(journal=journal)
    assert not journal.exists()


@pytest.mark.parametrize(
    ("notify", "words"),
    [
        (Webhook("https://x.invalid"), "must be a list"),
        ([print], "must hold Webhook, Slack or NotifyCommand"),
        ([Webhook("ftp://x.invalid")], "no http or https URL"),
        ([Webhook("https://u:sEcReT@x.invalid")], "holds a password"),
        ([Webhook()], "needs either url or url_env"),
        ([Webhook("https://x.invalid", on=["fail"])], "no notice 'fail'"),
        ([Webhook("https://x.invalid", on=[])], "told of nothing"),
        ([Webhook("https://x.invalid", secret=Secret("sEcReT"))], "24 to 64 bytes in base64"),
        ([Webhook("https://x.invalid", secret="sEcReT")], "secret must be a Secret"),  # type: ignore[arg-type]
        ([Webhook(url_env="A-B")], "name of an environment variable"),
        ([Slack("https://hooks.slack.invalid/sEcReT")], "is a secret"),  # type: ignore[arg-type]
        ([NotifyCommand("x.sh")], "a list of words"),
        ([NotifyCommand(["x", Secret("sEcReT")])], "seen by all on the machine"),  # type: ignore[list-item]
        ([Webhook("https://x.invalid", name="a"), Slack(url_env="X", name="a")], 'named "a"'),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(notify: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words) as refused:
        Saga("shop", notify=notify)
    assert "sEcReT" not in str(refused.value)


def test_two_of_a_kind_are_told_apart() -> None:
    both = Saga("shop", notify=[Slack(url_env="A"), Slack(url_env="B")])
    assert [one.name for one, _ in both.notify] == ["slack", "slack-2"]
