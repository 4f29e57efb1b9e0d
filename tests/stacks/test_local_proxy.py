"""The balancer's process, in front of upstreams that the test makes well and ill."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stacks.local import files, process, web
from stacks.local.process import Started


class Upstream(web.JsonHandler):
    """Answers with its name, what it was asked, and the health it was given."""

    label = ""
    health = 200
    drops = False  # whether it hangs up on requests, healthy as it looks
    asked = 0

    def answer(self) -> None:
        if self.path == "/healthz":
            self.reply(self.health, {})
            return
        type(self).asked += 1
        if not self.drops:
            body = self.body().decode()
            asked = {"method": self.command, "path": self.path, "body": body}
            self.reply(200, {"server": self.label, **asked})

    def log_message(self, *_: Any) -> None: ...

    do_GET = do_HEAD = do_POST = answer


@contextmanager
def upstream(label: str, port: int = 0) -> Iterator[tuple[str, type[Upstream]]]:
    handler = type(label, (Upstream,), {"label": label})
    listener = web.Listener((web.HOST, port), handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://{web.HOST}:{listener.server_port}", handler
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@pytest.fixture
def two() -> Iterator[list[tuple[str, type[Upstream]]]]:
    with upstream("a") as a, upstream("b") as b:
        yield [a, b]


def write_settings(scratch: Path, urls: list[str], **more: str) -> None:
    content = {"upstreams": urls, "health_path": "/healthz", "port": 0, "generation": "1"}
    files.write_private(scratch / "settings.json", content | more)


def start_proxy(scratch: Path, urls: list[str]) -> Started:
    write_settings(scratch, urls)
    args = ["--settings", str(scratch / "settings.json")]
    return process.start("stacks.local.proxy", label="proxy", log=scratch / "log", args=args)


def ask(proxy: Started, path: str = "/", method: str = "GET", **more: Any) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{proxy.port}{path}"
    status, _, body = web.request(method, url, **more)
    return status, json.loads(body or b"null")


def wait_for_health(proxy: Started, *expected: bool) -> None:
    def reached() -> bool:
        return [u["healthy"] for u in ask(proxy, "/-/status")[1]["upstreams"]] == [*expected]

    assert process.until(reached, 60), ask(proxy, "/-/status")


def test_requests_go_round(scratch: Path, two: list[tuple[str, type[Upstream]]]) -> None:
    proxy = start_proxy(scratch, [url for url, _ in two])
    wait_for_health(proxy, True, True)
    assert Counter(ask(proxy)[1]["server"] for _ in range(10)) == {"a": 5, "b": 5}


def test_a_request_arrives_whole(scratch: Path, two: list[tuple[str, type[Upstream]]]) -> None:
    proxy = start_proxy(scratch, [two[0][0]])
    wait_for_health(proxy, True)
    _, answer = ask(proxy, "/x?y=1&z=2", "POST", body=b"content")
    assert answer == {"server": "a", "method": "POST", "path": "/x?y=1&z=2", "body": "content"}
    status, headers, body = web.request("HEAD", f"http://127.0.0.1:{proxy.port}/")
    assert (status, body) == (200, b"")
    assert int({k.lower(): v for k, v in headers}["content-length"]) > 0


def test_an_unhealthy_upstream_is_skipped_and_comes_back(
    scratch: Path, two: list[tuple[str, type[Upstream]]]
) -> None:
    proxy = start_proxy(scratch, [url for url, _ in two])
    wait_for_health(proxy, True, True)
    two[0][1].health = 500
    wait_for_health(proxy, False, True)
    assert {ask(proxy)[1]["server"] for _ in range(4)} == {"b"}
    two[0][1].health = 200
    wait_for_health(proxy, True, True)
    assert {ask(proxy)[1]["server"] for _ in range(4)} == {"a", "b"}


def test_no_request_fails_when_an_upstream_dies_between_two_checks(scratch: Path) -> None:
    with upstream("b") as (b, _):
        with upstream("a") as (a, _):
            proxy = start_proxy(scratch, [a, b])
            wait_for_health(proxy, True, True)
        for method in ("GET", "POST", "GET", "POST"):
            assert ask(proxy, method=method)[1]["server"] == "b"
        wait_for_health(proxy, False, True)
        with upstream("a", port=int(a.rpartition(":")[2])):
            wait_for_health(proxy, True, True)


def test_with_no_healthy_upstream_it_says_so(
    scratch: Path, two: list[tuple[str, type[Upstream]]]
) -> None:
    for _, handler in two:
        handler.health = 500
    proxy = start_proxy(scratch, [url for url, _ in two])
    assert process.until(
        lambda: all(u["last"] == "500" for u in ask(proxy, "/-/status")[1]["upstreams"]), 10
    )
    status, answer = ask(proxy)
    assert status == 503
    assert answer["error"] == "no upstream is healthy"
    assert [u["last"] for u in answer["upstreams"]] == ["500", "500"]


def test_an_upstream_that_hangs_up_is_a_bad_gateway_and_is_not_asked_twice_to_act(
    scratch: Path, two: list[tuple[str, type[Upstream]]]
) -> None:
    for _, handler in two:
        handler.drops = True
    proxy = start_proxy(scratch, [url for url, _ in two])
    wait_for_health(proxy, True, True)
    status, answer = ask(proxy, method="POST", body=b"pay")
    assert (status, answer["error"]) == (502, "the upstream failed")
    assert sum(handler.asked for _, handler in two) == 1, "it may have acted on it"
    wait_for_health(proxy, True, True)
    assert ask(proxy)[0] == 502
    assert sum(handler.asked for _, handler in two) == 3, "a GET may go to the next one"


def test_new_settings_are_taken_while_it_runs(
    scratch: Path, two: list[tuple[str, type[Upstream]]]
) -> None:
    proxy = start_proxy(scratch, [two[0][0]])
    wait_for_health(proxy, True)
    write_settings(scratch, [url for url, _ in two], generation="2")
    process.send(proxy.identity, signal.SIGHUP)
    wait_for_health(proxy, True, True)
    assert ask(proxy, "/-/status")[1]["generation"] == "2"
    assert {ask(proxy)[1]["server"] for _ in range(4)} == {"a", "b"}
