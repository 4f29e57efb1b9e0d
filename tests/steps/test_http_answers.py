"""What the answer to a request proves, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from alma import (
    DefinitionError,
    Request,
    Saga,
    SagaFailed,
    rollback,
)
from tests.steps.api import FAST, Api, failing

PAGE = {"Content-Type": "text/html"}


def simple(api: Api, undo: Request, check: Request | None = None) -> Saga:
    saga = Saga("names", stack="dev")
    do = Request("POST", f"{api.url}/records", json={"name": "www"})
    saga.add_http("dns", do=do, undo=undo, check=check)
    return saga


async def test_an_undo_answered_by_a_login_page_has_reached_nobody(api: Api) -> None:
    """200, and what was made is still there."""
    api.answers = [("DELETE", 200, PAGE)]
    result = await failing(simple(api, Request("DELETE", f"{api.url}/records/{{outputs.id}}")))
    assert result.state.name == "FAILED"
    assert list(api.records) == ["r1"]
    assert "answered 200 with a web page" in result.leftovers[0].reason


async def test_a_page_is_what_was_asked_for_where_its_status_is_expected(api: Api) -> None:
    api.answers = [("DELETE", 200, PAGE)]
    undo = Request("DELETE", f"{api.url}/records/{{outputs.id}}", expect=200)
    assert (await failing(simple(api, undo))).state.name == "COMPENSATED"


async def test_a_create_answered_by_a_login_page_is_in_doubt(api: Api) -> None:
    """Not done, as far as anybody can know; so it is no success, and not called clean."""
    api.answers = [("POST", 200, PAGE)]
    result = await failing(simple(api, Request("DELETE", f"{api.url}/records/{{outputs.id}}")))
    assert result.failed_step == "dns"
    assert result.state.name == "FAILED"


async def test_a_create_that_was_answered_by_a_redirect_may_have_been_done(api: Api) -> None:
    """As a form is: it was refused, but what it made is there."""
    api.redirects = True
    result = await failing(simple(api, Request("DELETE", f"{api.url}/records/{{outputs.id}}")))
    assert list(api.records) == ["r1"]
    assert result.state.name == "FAILED"
    assert [left.step for left in result.leftovers] == ["dns"]


async def test_a_redirect_is_a_success_where_it_is_expected(api: Api) -> None:
    api.redirects = True
    saga = Saga("names", stack="dev")
    do = Request("POST", f"{api.url}/records", json={}, expect=[201, 303])
    saga.add_http("dns", do=do, undo=Request("DELETE", f"{api.url}/records/r1"))
    assert (await failing(saga)).state.name == "COMPENSATED"
    assert api.records == {}


@pytest.mark.parametrize(("expect", "clean"), [((204, 404), True), (200, False), ([], None)])
async def test_an_undo_must_be_answered_as_expected(api: Api, expect: Any, *, clean: Any) -> None:
    """404 is gone already, unless something else is expected: a proxy says it too."""
    api.answers = [("DELETE", 404, {})]
    if clean is None:
        with pytest.raises(DefinitionError, match="expect says nothing"):
            simple(api, Request("DELETE", api.url, expect=expect))
        return
    undo = Request("DELETE", f"{api.url}/records/{{outputs.id}}", expect=expect)
    result = await failing(simple(api, undo))
    assert (result.state.name == "COMPENSATED") is clean


@pytest.mark.parametrize(
    ("expect", "clean"), [({"name": "www"}, True), ({"name": "other"}, False), ({"a.b": 1}, False)]
)
async def test_fields_of_an_answer_can_be_expected(api: Api, expect: Any, *, clean: bool) -> None:
    """Of an API that says 200 to everything."""
    api.keeps_deleted = True
    undo = Request("DELETE", f"{api.url}/records/{{outputs.id}}")
    check = Request("GET", f"{api.url}/records/{{outputs.id}}", expect=expect)
    result = await failing(simple(api, undo, check))
    assert (result.state.name == "COMPENSATED") is clean


@pytest.mark.parametrize("expect", [99, 600, True, "200", [200, "x"]])
def test_a_status_is_a_status(expect: Any) -> None:
    with pytest.raises(DefinitionError, match="is no HTTP status"):
        Saga("s").add_http("a", do=Request("GET", "http://localhost", expect=expect))


def put_of(api: Api, **options: Any) -> Saga:
    """A record by its name, which a PUT makes or takes over."""
    saga = Saga("names", stack="dev")
    where = f"{api.url}/records/{{inputs.name}}"
    saga.add_http(
        "dns",
        do=Request("PUT", where, json={"port": 80}),
        undo=Request("DELETE", where),
        existed=Request("GET", where),
        inputs={"name": "www"},
        **{"retry": FAST, **options},
    )
    return saga


async def test_what_a_put_takes_over_is_not_undone(api: Api) -> None:
    """It was there before: named, and left as it is now. What was not there is taken away."""
    result = await failing(put_of(api))
    assert result.state.name == "COMPENSATED"
    assert [entry["method"] for entry in api.asked] == ["GET", "PUT", "DELETE"]
    api.records["www"] = {"port": 8080}
    result = await failing(put_of(api))
    assert result.state.name == "FAILED"
    assert "was there before this run (existed= has seen it)" in result.leftovers[0].reason
    assert api.records == {"www": {"port": 80}}
    with pytest.raises(SagaFailed):  # the journal knows it
        await rollback()
    assert api.records == {"www": {"port": 80}}


async def test_a_put_waits_until_it_is_known_what_is_there(api: Api) -> None:
    """A gateway's answer tells nothing: asked again, and nothing is sent until it is known."""
    api.answers = [("GET", 502, {}), ("GET", 502, {}), ("GET", 0, {})]
    with pytest.raises(SagaFailed) as failed:
        await put_of(api).execute()
    result = failed.value.result
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert "existed= was not answered" in result.error.message
    assert [entry["method"] for entry in api.asked] == ["GET"] * 3
    api.answers = [("GET", 502, {})]
    await put_of(api).execute()
    assert api.records == {"www": {"port": 80}}
