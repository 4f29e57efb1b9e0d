"""What must hold after a step, `ready`: asked until it does; when it does not, the step failed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from alma import Context, DefinitionError, Request, Retry, Saga, SagaState, Secret
from alma.core.events import OperationFailed, OperationSucceeded, ProcessSpawned, ReadyAwaited
from alma.core.state import fold
from alma.runner import resume, rollback, up
from alma.runner.preview import preview
from alma.testing import Crash, FakeEngine, FakeProgram, JournalFault, JournalFaults, Life
from tests.runner.helpers import ended, history, program, settings, types, until
from tests.steps.api import serve

SOON: dict[str, Any] = {"ready_timeout": 300, "ready_interval": 0.01}
NEVER: dict[str, Any] = {"ready_timeout": 0.3, "ready_interval": 0.01}
"""For what does not hold: it is waited for until the end."""


def holding(journal: Path, text: str) -> list[Path]:
    """The journal's files that hold the text."""
    found = (path for path in journal.parent.glob(f"{journal.name}*") if path.is_file())
    return [path for path in found if text.encode() in path.read_bytes()]


def private(directory: Path) -> list[Path]:
    return list(directory.rglob("private"))


class Calls:
    """An action, its compensation, and what is asked in between: holds at the `nth` time."""

    def __init__(self, nth: int = 1) -> None:
        self.nth, self.said, self.seen = nth, list[str](), list[Context]()

    def act(self) -> dict[str, Any]:
        self.said.append("act")
        return {"url": "http://x", "token": Secret("canary-of-ready")}

    def undo(self) -> None:
        self.said.append("undo")

    async def ready(self, context: Context) -> bool:
        self.said.append("ready")
        self.seen.append(context)
        return self.said.count("ready") >= self.nth

    def saga(self, **options: Any) -> Saga:
        saga = Saga("s")
        options = {"ready": self.ready, **SOON, **options}
        saga.add_step(self.act, self.undo, inputs={"size": 3}, **options)
        return saga


async def test_it_is_asked_with_the_outputs_until_it_holds(journal: Path) -> None:
    """Its attempts are in the journal, and its step is only then completed."""
    calls = Calls(nth=3)
    await up(calls.saga(), settings=settings(FakeEngine(), journal))
    assert calls.said == ["act", "ready", "ready", "ready"]
    assert calls.seen[0].result["token"].value == "canary-of-ready"
    assert calls.seen[0].inputs == {"size": 3}
    events = [entry.event for entry in history(journal)]
    [done] = [event for event in events if isinstance(event, OperationSucceeded)]
    [awaited] = [event for event in events if isinstance(event, ReadyAwaited)]
    assert done.evidence["ready"] == 3
    assert done.outputs == awaited.outputs == {"url": "http://x", "token": "[secret]"}
    assert not holding(journal, "canary-of-ready")


async def test_when_it_does_not_hold_the_step_itself_is_undone(journal: Path) -> None:
    """`retry` is for the work, and that was done."""
    calls = Calls(nth=10**9)
    saga = calls.saga(retry=Retry(attempts=3, delay=0), **NEVER)
    result = await ended(up(saga, settings=settings(FakeEngine(), journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.error is not None
    assert result.error.kind == "unready"
    assert "it is not ready after 0.3 s (asked " in result.error.message
    assert result.error.message.endswith("its function says no")
    assert (calls.said[0], calls.said[-1]) == ("act", "undo")
    assert calls.said.count("act") == 1


@pytest.mark.parametrize("direction", ["forward", "back"])
async def test_after_a_crash_in_between_it_is_asked_again_and_nothing_is_done_again(
    journal: Path, direction: str
) -> None:
    """The journal has the outputs: also for what comes after, and for the undo."""
    calls, life = Calls(), Life()
    consumed: list[Any] = []
    later: list[Any] = []

    def saga() -> Saga:
        made = calls.saga(**({} if later else {**NEVER, "ready": die}))
        inputs = {"token": made.steps[0].output("token")}
        made.add_step(
            lambda context: consumed.append(context.inputs), "none", name="b", inputs=inputs
        )
        return made

    def die() -> None:
        life.end()

    dying = settings(FakeEngine(life=life), journal, open_journal=JournalFaults(life=life))
    with pytest.raises(Crash):
        await up(saga(), settings=dying)
    assert types(journal)[-1] == "ReadyAwaited"
    later.append(True)
    again = settings(FakeEngine(), journal)
    if direction == "back":
        result = await ended(rollback(saga=saga(), settings=again))
        assert (result.state, calls.said) == (SagaState.COMPENSATED, ["act", "undo"])
        return
    result = await resume(saga=saga(), settings=again, accept_changes=True)
    assert calls.said == ["act", "ready"]
    assert consumed[0]["token"].value == "canary-of-ready"
    assert result.outputs["act"]["url"] == "http://x"


async def test_a_request_that_is_not_ready_is_undone_although_it_has_failed(journal: Path) -> None:
    """A step by HTTP with a failure was refused, as a rule, and has left nothing: not this one."""
    with serve() as api:
        saga = Saga("s")
        saga.add_http(
            "dns",
            do=Request("POST", f"{api.url}/records", json={"name": "www"}),
            undo=Request("DELETE", f"{api.url}/records/{{outputs.id}}"),
            ready=Request("GET", f"{api.url}/records/{{outputs.id}}", expect={"name": "other"}),
            **NEVER,
        )
        result = await ended(up(saga, settings=settings(FakeEngine(), journal)))
        assert result.state is SagaState.COMPENSATED
        assert api.records == {}
        assert result.error is not None
        assert result.error.kind == "unready"


async def test_a_command_is_given_the_outputs_and_ends_well(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import json, os; assert json.load(open(os.environ['ALMA_RESULT']))['url']; "
    asked = [sys.executable, "-c", f"{code}print('not yet'); exit({{}} + int(os.environ['size']))"]
    calls = Calls()
    fine = calls.saga(ready=[*asked[:2], asked[2].format(-3)], **SOON)
    await up(fine, settings=settings(FakeEngine(), journal))
    wrong = calls.saga(ready=[*asked[:2], asked[2].format(0)], **NEVER)
    result = await ended(up(wrong, settings=settings(FakeEngine(), journal)))
    assert result.state is SagaState.COMPENSATED
    assert result.error is not None
    assert "it is not ready after 0.3 s" in result.error.message
    assert not private(tmp_path)
    # Nobody waits for what only looks when a run is taken up again, an hour in the worst case.
    entries = history(journal)
    asked_at = next(n for n, one in enumerate(entries) if isinstance(one.event, ProcessSpawned))
    step = fold(entries[: asked_at + 1]).steps["act"]
    assert step.open is not None
    assert step.open.processes == ()


async def test_no_drift_is_seen_by_a_preview_with_refresh(journal: Path) -> None:
    """What was deleted behind its back is planned again: the stack is destroyed."""
    engine = FakeEngine({"s-a": FakeProgram(resources=("r0", "r1"))})
    saga = Saga("s")
    saga.add_stack("a", program=program, ready="no-drift", **SOON)
    result = await up(saga, settings=settings(engine, journal))
    assert result.state is SagaState.COMPLETED
    engine.reality.things.discard(next(urn for urn in engine.reality.things if "r1" in urn))
    saga = Saga("s")
    saga.add_stack("a", program=program, ready="no-drift", **NEVER)
    result = await ended(up(saga, settings=settings(engine.restarted(), journal)))
    assert result.error is not None
    assert "a preview plans create urn:" in result.error.message


async def test_a_signal_while_it_is_asked_undoes_it(journal: Path) -> None:
    """The first one is not waited out."""
    from alma.runner import interrupt

    calls = Calls(nth=10**9)
    saga = calls.saga(ready_timeout=600, ready_interval=600)
    running = asyncio.create_task(ended(up(saga, settings=settings(FakeEngine(), journal))))
    await until(lambda: "ready" in calls.said)
    interrupt()
    result = await running
    assert (result.state, calls.said) == (SagaState.COMPENSATED, ["act", "ready", "undo"])


@pytest.mark.parametrize(
    ("ready", "said"),
    [
        ("drift", "says nothing"),
        ([], "names no program"),
        (["a", Secret("x")], "a secret cannot be an argument"),
        (7, "must be a Request or a callable"),
        (Request("GET", "http://h/{inputs.nothing}"), "stands for no input"),
    ],
)
def test_what_cannot_be_asked_is_refused(ready: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Calls().saga(ready=ready)


async def test_what_cannot_be_seen_here_is_refused_before_anything(journal: Path) -> None:
    """Of an action no drift can be seen; and a program may be missing."""
    calls = Calls()
    cases: list[tuple[Any, str]] = [
        ("no-drift", "whose drift can be seen"),
        (["no-such"], "is not on PATH"),
        (lambda one, two: one == two, "must take no argument or one context"),
    ]
    for ready, said in cases:
        with pytest.raises(Exception, match=said):
            await up(calls.saga(ready=ready), settings=settings(FakeEngine(), journal))
    assert calls.said == []
    assert not holding(journal, "")


async def test_a_preview_says_what_is_asked(journal: Path) -> None:
    found = await preview(Calls().saga(), settings(FakeEngine(), journal))
    assert found.steps[0].foreseen.what == "call act; ready when ready says so"


async def test_an_answer_that_is_none_fails_at_once(journal: Path) -> None:
    calls = Calls()
    saga = calls.saga(ready=lambda: "yes", ready_timeout=600)
    result = await ended(up(saga, settings=settings(FakeEngine(), journal)))
    assert result.error is not None
    assert "must return True, False or nothing (or raise), and returned str" in result.error.message
    [failed] = [e.event for e in history(journal) if isinstance(e.event, OperationFailed)]
    assert failed.failure.kind == "unready"


async def test_the_journal_fails_before_it_is_asked(journal: Path) -> None:
    """What is done is in the journal before anybody is asked, or nobody is."""
    calls = Calls()
    faults = JournalFaults([JournalFault(nth=5, effect="crash_before")])
    with pytest.raises(Crash):
        await up(calls.saga(), settings=settings(FakeEngine(), journal, open_journal=faults))
    assert calls.said == ["act"]
