"""One request and its answer over HTTP/1.1, a connection for each."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from io import BufferedReader

CHUNK = 1 << 16


@dataclass
class Request:
    """What a client has asked."""

    method: str
    path: str
    headers: dict[str, str]
    """By names in small letters."""
    head: bytes
    body: bytes
    """As sent, which is in chunks where the client sent chunks."""
    fault: str | None = None
    """What was done to it: `503`, `dropped`, `answer lost`; None: it was passed on."""

    @property
    def text(self) -> str:
        """All of it."""
        return (self.head + self.body).decode("latin-1")


def read(client: socket.socket) -> Request | None:
    """Read a request to its end; None when the client goes without one."""
    with client.makefile("rb") as stream:
        lines: list[bytes] = []
        while (line := stream.readline()).strip():
            lines.append(line)
        if not lines:
            return None
        method, path, _ = lines[0].decode("latin-1").split(" ", 2)
        pairs = (line.decode("latin-1").partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, path, headers, b"".join(lines), _body(stream, headers))


def _body(stream: BufferedReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return stream.read(int(headers.get("content-length", 0)))
    parts: list[bytes] = []
    while True:
        size = stream.readline()
        parts += [size, stream.read(int(size.split(b";")[0], 16)), stream.readline()]
        if int(size.split(b";")[0], 16) == 0:
            return b"".join(parts)


def forward(
    request: Request, upstream: socket.socket, client: socket.socket, *, silent: bool
) -> None:
    """Ask `upstream` and hand its answer to `client`; `silent`: wait for it and keep it back."""
    upgrade = "upgrade" in request.headers
    # The end of the answer is then the end of the connection, in whatever form it comes.
    dropped = (b"expect:",) if upgrade else (b"expect:", b"connection:")
    lines = [
        line
        for line in request.head.splitlines(keepends=True)
        if not line.lower().startswith(dropped)
    ]
    if not upgrade:
        lines.append(b"Connection: close\r\n")
    with upstream:
        upstream.sendall(b"".join(lines) + b"\r\n" + request.body)
        if upgrade:
            arguments = (client, upstream)
            threading.Thread(target=_pump, args=arguments, daemon=True).start()
        while data := upstream.recv(CHUNK):
            if not silent:
                client.sendall(data)
        # A mere close would not be seen as long as the other thread waits on this connection.
        client.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def refusal(request: Request, status: int, code: str) -> bytes:
    """Return an answer of this status, in the form that the request's kind of service has."""
    phrase = HTTPStatus(status).phrase
    code = code or phrase.replace(" ", "")
    aws = "authorization" in request.headers or "x-amz-date" in request.headers
    if aws and "json" not in request.headers.get("content-type", ""):
        kind = "text/xml"
        body = (
            f"<ErrorResponse><Error><Code>{code}</Code><Message>{phrase}</Message></Error>"
            "<RequestId>0</RequestId></ErrorResponse>"
        )
    else:
        kind = "application/json"
        body = json.dumps({"__type": code, "message": phrase})
    head = [
        f"HTTP/1.1 {status} {phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", body]).encode()
