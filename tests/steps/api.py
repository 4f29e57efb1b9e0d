"""A real HTTP API that keeps records, honours idempotency keys, and can be made to misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from alma import Retry, Saga, SagaFailed


@dataclass
class Api:
    """What it holds, and what it was asked: method, path, key and authorization."""

    url: str = ""
    records: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    """To be given instead of doing anything: to which method, status, headers. Once each."""
    hold: Event = field(default_factory=Event)
    """While it is clear and `holding`, a POST is done but not answered."""
    holding: bool = False
    keeps_deleted: bool = False
    redirects: bool = False
    """A POST is done and answered 303, as forms are."""
    body: bytes | None = None
    """What whoever is done is answered instead of what it should be."""
    _made: dict[str, str] = field(default_factory=dict)

    def keys(self, method: str) -> list[str]:
        """The idempotency keys of the requests of a method, in order."""
        return [entry["key"] for entry in self.asked if entry["method"] == method]

    def create(self, key: str, body: Any) -> tuple[int, Any]:
        """The same key gets the same record."""
        if key not in self._made:
            self._made[key] = f"r{len(self._made) + 1}"
            self.records[self._made[key]] = body
        return 201, {"id": self._made[key], "token": f"token-of-{self._made[key]}", "body": body}


class Handler(BaseHTTPRequestHandler):
    api: Api

    def reply(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        if self.api.body is not None and status < 300:
            content = self.api.body
        if (headers or {}).get("Content-Type") == "text/html":
            content = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>"
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle_one(self) -> None:
        method, name = self.command, self.path.rpartition("/")[2].partition("?")[0]
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.api.asked.append(
            {
                "method": method,
                "path": self.path,
                "key": self.headers.get("Idempotency-Key", ""),
                "authorization": self.headers.get("Authorization", ""),
            }
        )
        for index, (which, status, headers) in enumerate(self.api.answers):
            if which == method:
                del self.api.answers[index]
                if status == 0:
                    self.close_connection = True
                    return
                self.reply(status, {"message": f"told to say {status}"}, headers)
                return
        if method == "PUT":
            self.api.records[name] = json.loads(content)
            self.reply(200)
        elif method == "POST":
            made = self.api.create(self.headers.get("Idempotency-Key", ""), json.loads(content))
            if self.api.holding:
                self.api.hold.wait(60)
            if self.api.redirects:
                self.reply(303, None, {"Location": "/done"})
                return
            self.reply(*made)
        elif name not in self.api.records:
            self.reply(404)
        else:
            if method == "DELETE" and not self.api.keeps_deleted:
                del self.api.records[name]
            found = self.api.records.get(name)
            self.reply(200, found) if method == "GET" else self.reply(204)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve() -> Iterator[Api]:
    """The API, until the block ends."""
    api = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"api": api}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        api.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


FAST = Retry(attempts=3, delay=0.01, max_delay=0.2)


def fail() -> None:
    raise RuntimeError("asked to")


async def failing(saga: Saga) -> Any:
    """The result of a run whose last step fails."""
    saga.add_step(action=fail, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    return failed.value.result
