"""The little HTTP that the processes and their clients share. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socketserver
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class Listener(ThreadingHTTPServer):
    """An HTTP server on the loopback interface, a thread for each request."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind, and do no more."""
        # HTTPServer's own asks a resolver for the host's full name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])


class JsonHandler(BaseHTTPRequestHandler):
    """A request handler that answers JSON."""

    timeout = 30

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log the request; not those that machines make several times a second."""
        if not self.path.startswith(("/healthz", "/-/")):
            super().log_request(code, size)

    def reply(self, status: int, body: Any) -> None:
        """Answer with `body` as JSON."""
        content = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self) -> bytes:
        """The request's body, as long as its Content-Length says."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


def run(handler: type[BaseHTTPRequestHandler], port: int, ready_fd: int | None) -> None:
    """Listen on `port` (0: a free one), say so, and serve until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a parent may have had it ignored
    try:
        listener = Listener((HOST, port), handler)
    except OSError as error:
        refuse(ready_fd, f"port {port}: {(error.strerror or str(error)).lower()}")
    announce(ready_fd, {"port": listener.server_port})
    listener.serve_forever()


def announce(ready_fd: int | None, message: Mapping[str, Any]) -> None:
    """Say one line of JSON to whoever started this process, or on standard output.

    With nobody there to read, the process ends: it would be an orphan from the start.
    """
    if ready_fd is None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
        return
    with os.fdopen(ready_fd, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(message) + "\n")


def refuse(ready_fd: int | None, why: str) -> Any:
    """Say why this process cannot start, and end it with exit code 1."""
    announce(ready_fd, {"error": why})
    sys.exit(1)


def request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
) -> tuple[int, list[tuple[str, str]], bytes]:
    """One HTTP request; status, headers and body of the answer, whatever the status.

    Goes straight to the host: a proxy in the environment is not for the loopback interface.
    Raises OSError or http.client.HTTPException when there is no answer within `timeout` seconds.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


def reason(error: BaseException) -> str:
    """Why there was no answer, in lower case and in a few words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return type(error).__name__
