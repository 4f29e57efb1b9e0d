"""An HTTP server that takes notices, answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def notice(self) -> str:
        return str(self.json["type"]).removeprefix("run.")


@dataclass
class Receiver:
    """`answers` are statuses, or callables that act before 200 is said; the last one stays."""

    url: str = ""
    answers: list[int | Callable[[], object]] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        return [one.notice for one in self.received]

    def next_answer(self) -> int:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            return answer
        answer()
        return 200


@contextmanager
def refusing() -> Iterator[tuple[str, socket.socket]]:
    """An address at which nobody listens, nor can anybody else: and its socket, to listen later."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/hook", bound


@contextmanager
def receiving(
    *answers: int | Callable[[], object],
    at: socket.socket | None = None,
    headers: dict[str, str] | None = None,
) -> Iterator[Receiver]:
    receiver = Receiver(answers=list(answers) or [200], headers=headers or {})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(names, body))
            self.send_response(receiver.next_answer())
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.daemon_threads = True
        if at is None:
            server.server_bind()
        else:
            server.socket.close()
            server.socket, server.server_address = at, at.getsockname()
        server.server_activate()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
