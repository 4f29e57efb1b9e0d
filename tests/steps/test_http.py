"""Steps by requests to a real HTTP API."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest

from alma import (
    Context,
    Request,
    Retry,
    Saga,
    SagaFailed,
    Secret,
    destroy,
)
from tests.steps.api import FAST, Api, failing
from tests.steps.conftest import CANARY, Place
from tests.waiting import until


def saga_of(api: Api, **options: Any) -> Saga:
    """A record with a secret in its request, which the undo deletes by its id."""
    saga = Saga("names", stack="dev")
    saga.add_http(
        "dns",
        do=Request(
            "POST",
            f"{api.url}/records",
            json={"name": "{inputs.name}", "ports": "{inputs.ports}"},
            headers={"Authorization": "Bearer " + CANARY},
        ),
        undo=Request("DELETE", f"{api.url}/records/{{outputs.id}}"),
        check=Request("GET", f"{api.url}/records/{{outputs.id}}"),
        secret_outputs=["token"],
        inputs={"name": "www", "ports": [80, 443]},
        **{"retry": FAST, "compensation_retry": FAST, **options},
    )
    return saga


async def test_a_record_is_made_used_and_taken_away(api: Api, place: Place) -> None:
    """Values keep their types; a secret field flows as a secret; a destroy knows the id."""
    saga = saga_of(api)
    told: list[Any] = []

    def use(context: Context) -> None:
        told.append(context.inputs["token"])

    token = saga.steps[0].output("token")
    saga.add_step(action=use, compensation="none", inputs={"token": token})
    result = await saga.execute()
    assert api.records == {"r1": {"name": "www", "ports": [80, 443]}}
    assert result.outputs["dns"]["id"] == "r1"
    assert isinstance(told[0], Secret)
    assert told[0].value == "token-of-r1"
    assert api.asked[0]["authorization"] == f"Bearer {CANARY}"
    await destroy(saga)
    assert api.records == {}
    assert place.holding(CANARY) == []
    assert place.holding("token-of-r1") == []


async def test_undone_and_seen_to_be_gone(api: Api) -> None:
    """The evidence is in the journal: what was asked, and both answers."""
    result = await failing(saga_of(api))
    assert result.state.name == "COMPENSATED"
    assert api.records == {}
    assert [entry["method"] for entry in api.asked] == ["POST", "DELETE", "GET"]


async def test_already_gone_is_undone(api: Api) -> None:
    """404 to the undo: somebody was faster."""
    saga = saga_of(api)
    saga.add_step("race", action=api.records.clear, compensation="none")
    result = await failing(saga)
    assert result.state.name == "COMPENSATED"


async def test_busy_is_asked_again_with_the_same_key(api: Api) -> None:
    """503, a broken connection and 429 are retried; Retry-After is kept within the limit."""
    api.answers = [("POST", 503, {}), ("POST", 0, {})]
    await saga_of(api).execute()
    assert len(set(api.keys("POST"))) == 1
    assert len(api.keys("POST")) == 3
    api.answers = [("POST", 429, {"Retry-After": "1"})]
    began = time.monotonic()
    await saga_of(api, retry=Retry(attempts=2, delay=0, max_delay=0.5)).execute()
    assert time.monotonic() - began >= 0.5
    api.answers = [("POST", 429, {"Retry-After": "3600"})]
    await saga_of(api, retry=Retry(attempts=2, delay=0, max_delay=0.1)).execute()


async def test_a_refusal_is_not_repeated_and_has_left_nothing(api: Api) -> None:
    """422 is the API's last word, in its own words."""
    api.answers = [("POST", 422, {})]
    with pytest.raises(SagaFailed) as failed:
        await saga_of(api).execute()
    result = failed.value.result
    assert result.error is not None
    assert result.error.message == f"POST {api.url}/records was answered 422: told to say 422"
    assert result.state.name == "COMPENSATED"
    assert [entry["method"] for entry in api.asked] == ["POST"]


async def test_an_undo_that_never_succeeds_is_a_leftover(api: Api) -> None:
    """Named by method, URL and id; a later destroy takes it away."""
    saga = saga_of(api)
    api.answers = [("DELETE", 500, {})] * 3
    result = await failing(saga)
    assert result.state.name == "FAILED"
    assert result.leftovers[0].id == "r1"
    assert f"DELETE {api.url}/records/r1 was answered 500" in result.leftovers[0].reason
    assert api.keys("DELETE") == [f"{result.run_id}-dns-compensation"] * 3
    await destroy(saga_of(api))
    assert api.records == {}


async def test_an_undo_that_only_says_so_is_not_believed(api: Api) -> None:
    """204 to the undo, and the record still answers."""
    api.keeps_deleted = True
    result = await failing(saga_of(api))
    assert result.state.name == "FAILED"
    assert "still there" in result.leftovers[0].reason


@pytest.mark.parametrize("status", [0, 500])
async def test_what_may_have_arrived_is_never_called_clean(api: Api, status: int) -> None:
    """The answer never came, or says nothing of what was done: the id is not known."""
    api.answers = [("POST", status, {})]
    with pytest.raises(SagaFailed) as failed:
        await saga_of(api, retry=Retry()).execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    assert "may have taken effect" in result.leftovers[0].reason


async def test_at_the_deadline_the_request_is_given_up(api: Api) -> None:
    """It arrived, so it may have taken effect."""
    api.holding = True
    with pytest.raises(SagaFailed) as failed:
        await saga_of(api, retry=Retry(), timeout=0.5).execute()
    assert failed.value.result.error is not None
    assert failed.value.result.error.kind == "timeout"
    assert failed.value.result.state.name == "FAILED"


async def test_a_secret_in_a_path_is_in_no_event(
    api: Api, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither as evidence of the undo, nor as what may have taken effect; nor in httpx's log."""
    caplog.set_level("DEBUG")
    saga = Saga("names", stack="dev")
    saga.add_http(
        "dns",
        do=Request("POST", f"{api.url}/{{inputs.tenant}}/records", json={}),
        undo=Request("DELETE", f"{api.url}/{{inputs.tenant}}/records"),
        inputs={"tenant": Secret(f"{CANARY}/ä")},
        retry=FAST,
    )
    api.answers = [("POST", 503, {})]
    result = await failing(saga)
    assert result.state.name == "COMPENSATED"
    assert CANARY in api.asked[0]["path"]
    assert CANARY not in caplog.text
    assert place.holding(CANARY) == []


async def test_requests_can_be_computed(api: Api) -> None:
    """A callable is given the context; a failure of it is a failure of the step."""

    async def do(context: Context) -> Request:
        return Request("post", f"{api.url}/records", json={"for": context.step})

    def undo(context: Context) -> Request:
        return Request("DELETE", f"{api.url}/records/{context.result['id']}")

    saga = Saga("names", stack="dev")
    saga.add_http("dns", do=do, undo=undo)
    result = await failing(saga)
    assert result.state.name == "COMPENSATED"
    assert api.asked[0]["method"] == "POST"
    assert api.records == {}


SAGA = """
from alma import Request, Saga

saga = Saga("names", stack="dev")
saga.add_http(
    "dns",
    do=Request("POST", "{url}/records", json={{"name": "www"}}),
    undo=Request("DELETE", "{url}/records/{{outputs.id}}"),
)
"""


LAST = 'saga.add_step("last", action=lambda: 1 / 0, compensation="none")\n'


def test_a_request_in_doubt_is_repeated_with_its_key(api: Api, place: Place) -> None:
    """The runner dies while it waits; the record is not made twice, and undone from the journal."""
    saga = place.root / "saga.py"
    saga.write_text(SAGA.format(url=api.url))
    api.holding = True
    runner = place.start("up", "saga.py")
    until(lambda: api.records)
    place.kill(runner)
    api.holding = False
    code, said = place.alma("resume", "latest")
    assert code == 0, said
    assert len(set(api.keys("POST"))) == 1
    assert len(api.keys("POST")) == 2
    assert list(api.records) == ["r1"]

    text = SAGA.format(url=api.url).replace('"dev")', '"dev", on_failure="stop")')
    saga.write_text(text + LAST)
    assert place.alma("up", "saga.py")[0] == 10
    saga.unlink()
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert list(api.records) == ["r1"]


def test_a_request_under_way_is_drained_at_a_signal_and_undone(api: Api, place: Place) -> None:
    """Its answer is waited for, so that the undo knows what was made."""
    (place.root / "saga.py").write_text(SAGA.format(url=api.url) + LAST)
    api.holding = True
    runner = place.start("up", "saga.py")
    until(lambda: api.records)
    runner.send_signal(signal.SIGINT)
    until(
        lambda: any(e["type"] == "InterruptReceived" for e in place.document("history", "latest"))
    )
    api.hold.set()
    assert runner.wait(timeout=300) == 4
    assert api.records == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"POST", "{url}/records"', '"POST", "records"', "is no http:// or https:// URL"),
        ('"POST", "{url}', '"POST", "http://user:pw@host', "the URL holds a user or password"),
        ('"www"', '"{{inputs.name}}"', "{inputs.name} stands for no input"),
        ('"www"', '"{{outputs.name}}"', "{outputs.name} is known only once it is done"),
        ('"POST"', '"P O"', "is no HTTP method"),
        ('undo=Request("DELETE", "{url}/records/{{outputs.id}}")', "undo=1", "must be a Request"),
    ],
)
def test_what_cannot_be_sent_is_refused(place: Place, old: str, new: str, said: str) -> None:
    """One sentence and exit code 2; nothing is journaled."""
    (place.root / "saga.py").write_text(SAGA.replace(old, new).format(url="http://host"))
    code, words = place.alma("up", "saga.py")
    assert (code, said in words) == (2, True), words
    assert not (place.root / ".alma" / "journal.db").exists()


def test_preview_names_the_requests(place: Place) -> None:
    """Without their queries."""
    (place.root / "saga.py").write_text(SAGA.format(url="http://host"))
    [step] = place.document("preview")["steps"]
    assert step["what"] == "send POST http://host/records"
    assert step["undo"] == "send DELETE http://host/records/{outputs.id}"


def test_missing_httpx_is_told_with_the_way_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything starts."""
    from alma.errors import ToolError

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    saga = Saga("names", stack="dev")
    saga.add_http("dns", do=Request("GET", "http://host/"), undo="none")
    with pytest.raises(ToolError, match=r"pip install 'alma-pulumi\[http\]'"):
        asyncio.run(saga.execute())
    assert not (place.root / ".alma").exists()
