"""Where a request goes, and what it carries: whoever answered it chooses neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from alma import Context, DefinitionError, Request, Saga, SagaFailed, Secret
from alma.core.secret import Secret as Opaque
from alma.steps.http.filling import UnfilledError, fill
from tests.runner.helpers import ended
from tests.steps.api import Api, serve
from tests.steps.conftest import CANARY, Place

KEY = {"Authorization": Secret(CANARY)}


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as found:
        yield found


@pytest.fixture
def other() -> Iterator[Api]:
    with serve() as found:
        yield found


def saga_of(api: Api, undo: Request, do: Request | None = None) -> Saga:
    saga = Saga("names", stack="dev")
    do = do or Request("POST", f"{api.url}/records", json={}, headers=KEY)
    saga.add_http("dns", do=do, undo=undo)
    saga.add_step("last", action=lambda: 1 / 0, compensation="none")
    return saga


UNDOS = {
    "whole": "{outputs.self}",
    "base": "{outputs.base}/records/r1",
    "port": "http://127.0.0.1:{outputs.port}/records/r1",
}


def answer(place: Api) -> bytes:
    """What names the host of `place`."""
    host = place.url.partition("://")[2]
    found = {"self": f"{place.url}/records/r1", "base": place.url}
    return json.dumps({**found, "port": int(host.rpartition(":")[2])}).encode()


@pytest.mark.parametrize("how", UNDOS)
async def test_an_answer_does_not_choose_who_is_given_our_credentials(
    api: Api, other: Api, place: Place, how: str
) -> None:
    """Neither by the run, nor by whoever undoes it from the journal alone."""
    api.body = answer(other)
    result = await ended(saga_of(api, Request("DELETE", UNDOS[how], headers=KEY)).execute())
    assert (result.state.name, other.asked) == ("FAILED", [])
    assert "it would be given our credentials" in result.leftovers[0].reason
    code, said = place.alma("rollback", "latest")
    assert (code, other.asked) == (10, []), said
    assert place.holding(CANARY) == []


@pytest.mark.parametrize("how", UNDOS)
async def test_the_same_host_is_told_what_it_knows(api: Api, how: str) -> None:
    api.body = answer(api)
    result = await ended(saga_of(api, Request("DELETE", UNDOS[how], headers=KEY)).execute())
    assert result.state.name == "COMPENSATED"
    assert api.asked[-1] == {**api.asked[-1], "method": "DELETE", "authorization": CANARY}


async def test_without_credentials_it_may_go_where_it_is_sent(api: Api, other: Api) -> None:
    api.body = answer(other)
    other.records["r1"] = {}
    result = await ended(saga_of(api, Request("DELETE", "{outputs.self}")).execute())
    assert (result.state.name, other.records) == ("COMPENSATED", {})


async def test_a_redirect_is_not_followed(api: Api, other: Api) -> None:
    api.answers = [("DELETE", 307, {"Location": f"{other.url}/records/r1"})]
    undo = Request("DELETE", f"{api.url}/records/{{outputs.id}}", headers=KEY)
    result = await ended(saga_of(api, undo).execute())
    assert (result.state.name, other.asked) == ("FAILED", [])


DO = "https://api.example.com"


@pytest.mark.parametrize(
    "self",
    [
        "https://evil.example/x",
        "http://api.example.com/x",
        "https://api.example.com:8443/x",
        "https://api.example.com.evil.example/x",
        "https://api.example.com@evil.example/x",
        "https://me:it@api.example.com/x",
        "https://evil.example\\@api.example.com/x",
        "//evil.example/x",
        "/x",
        "file:///etc/passwd",
        "https://",
        "https://[::1/x",
        "",
        None,
        [],
    ],
)
def test_what_is_not_the_origin_is_refused(self: Any) -> None:
    request = Request("DELETE", "{outputs.self}", headers=KEY)
    with pytest.raises(UnfilledError):
        fill(request, {"inputs": {}, "outputs": {"self": self}}, DO)


def test_the_origin_may_be_an_input() -> None:
    request = Request("DELETE", "{outputs.self}", headers=KEY)
    values = {"inputs": {"base": f"{DO}/v1"}, "outputs": {"self": f"{DO}:443/v1/x"}}
    assert fill(request, values, "{inputs.base}").url == f"{DO}:443/v1/x"


@pytest.mark.parametrize("id_", ["", ".", "..", None, {}, []])
def test_an_answer_does_not_lead_above_what_was_written(id_: Any) -> None:
    """`DELETE /records/` would delete them all, and so would `?id=`."""
    for url in (f"{DO}/records/{{outputs.id}}", f"{DO}/{{outputs.id}}/x"):
        with pytest.raises(UnfilledError, match="id"):
            fill(Request("DELETE", url), {"inputs": {}, "outputs": {"id": id_}})
    if id_ not in (".", ".."):
        with pytest.raises(UnfilledError):
            fill(
                Request("DELETE", f"{DO}/r?id={{outputs.id}}"),
                {"inputs": {}, "outputs": {"id": id_}},
            )


def test_two_outputs_do_not_lead_there_together() -> None:
    request = Request("DELETE", f"{DO}/records/{{outputs.a}}{{outputs.b}}")
    with pytest.raises(UnfilledError):
        fill(request, {"inputs": {}, "outputs": {"a": ".", "b": "."}})


@pytest.mark.parametrize("path", ["/v1/..", "/v1/%2e%2E/x", "/./x"])
def test_nor_does_a_whole_url(path: str) -> None:
    request = Request("DELETE", "{outputs.self}")
    with pytest.raises(UnfilledError, match="leads to what is above"):
        fill(request, {"inputs": {}, "outputs": {"self": DO + path}}, DO)


# -- headers --------------------------------------------------------------------------------------


def test_headers_are_credentials_but_for_those_that_are_known_not_to_be() -> None:
    value = "k-1234567890"
    secret = ("Authorization", "X-Api-Key", "X-Amz-Security-Token", "X-Vault", "Cookie", "X-Me")
    known = ("Accept", "Content-Type", "User-Agent", "If-Match", "X-GitHub-Api-Version")
    for name in secret:
        assert isinstance(Request("GET", DO, headers={name: value}).headers[name], Opaque), name
    for name in known:
        assert Request("GET", DO, headers={name: value}).headers[name] == value, name
    assert Request("GET", DO, headers={"X-Stage": "prod"}).headers["X-Stage"] == "prod"


@pytest.mark.parametrize("value", ["a\r\nX-Admin: yes", "key\n", "a\0b", "a\x7f"])
def test_no_value_begins_another_header(value: str) -> None:
    """Neither one that was written, nor one that was answered."""
    saga = Saga("s")
    with pytest.raises(DefinitionError, match="holds a control character"):
        saga.add_http("a", do=Request("GET", DO, headers={"X-Key": Secret(value)}), undo="none")
    request = Request("GET", DO, headers={"X-Key": "{outputs.key}"})
    with pytest.raises(UnfilledError, match="holds a control character") as refused:
        fill(request, {"inputs": {}, "outputs": {"key": value}})
    assert value not in str(refused.value)


async def test_what_a_callable_sends_is_known_before_it_is_sent(api: Api, place: Place) -> None:
    """The service says it again, and nobody is shown it."""

    def do(context: Context) -> Request:
        url, key = f"{api.url}/records", {"X-Session": CANARY}
        return Request("POST", url, json={"for": context.step}, headers=key, expect={"a": 1})

    api.body = json.dumps({"detail": f"no session {CANARY}"}).encode()
    saga = Saga("names", stack="dev")
    saga.add_http("dns", do=do, undo="none")
    with pytest.raises(SagaFailed, match=r"no session \[secret\]"):
        await saga.execute()
    assert place.holding(CANARY) == []
