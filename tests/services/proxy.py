"""A proxy in front of a service that can refuse, lose and delay, and that records what is asked.

proxy = chaos(localstack.url)
proxy.fail(503, times=2, match="Action=RunInstances")
proxy.drop(match="PUT /bucket", done=True)     # it is done, and the answer is lost
proxy.down(); proxy.up()                       # the service is away for a while
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.services.exchange import Request, forward, read, refusal
from tests.services.faults import Fault, Match

LOOPBACK = "127.0.0.1"
# The services are on this machine, with certificates that they have made themselves.
UNVERIFIED = ssl._create_unverified_context()  # noqa: S323


class Proxy:
    """Listens on a port of its own; `unix:` addresses get a `tcp:` one, as Docker wants it.

    What is `https:` behind is `http:` in front: faults are for requests, not for certificates. With
    a `certificate`, whose key is the `.key` beside it, it is `https:` there as well: clients of
    Kubernetes send no credentials without.
    """

    def __init__(self, upstream: str, certificate: Path | None = None) -> None:
        self.upstream = urlsplit(upstream)
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.requests: list[Request] = []
        """All that came, in order; `fault` tells what was done to it."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        # Bound and never listening: nobody else gets the port while the service is away.
        self._port = _bound((LOOPBACK, 0))
        self._listener: socket.socket | None = None
        plain = {"unix": "tcp", "https": "http"}.get(self.upstream.scheme, self.upstream.scheme)
        scheme = "https" if self._tls is not None else plain
        self.url = f"{scheme}://{LOOPBACK}:{self._port.getsockname()[1]}"
        self.up()

    def fail(self, status: int, times: int = 1, match: Match = None, *, code: str = "") -> None:
        """Answer the next `times` requests that match with `status`, unseen by the service.

        `match`: what a request's text (first line, headers, body) contains, or a function of the
        request. `code`: the error's name in AWS's answer, such as `ThrottlingException`.
        """
        self._add(Fault(f"{status} {code}".strip(), times, match, status, code))

    def drop(self, times: int = 1, match: Match = None, *, done: bool = False) -> None:
        """Close the connection with no answer; with `done`, after the service has answered."""
        self._add(Fault("answer lost" if done else "dropped", times, match, done=done))

    def down(self) -> None:
        """Refuse connections, and break those that are open."""
        with self._lock:
            listener, self._listener = self._listener, None
            broken, self._open = self._open, set()
        for each in (*([listener] if listener is not None else []), *broken):
            with suppress(OSError):
                # Wakes the thread that waits on it, which then closes it.
                each.shutdown(socket.SHUT_RDWR)
        if listener is not None:
            listener.close()

    def up(self) -> None:
        """Listen again, on the same port."""
        if self._listener is None:
            self._listener = _bound(self._port.getsockname())
            self._listener.listen(64)
            _in_thread(self._accept, self._listener)

    def close(self) -> None:
        """Go for good."""
        self.down()
        self._port.close()

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                if self._tls is not None:
                    client = self._tls.wrap_socket(
                        client, server_side=True, do_handshake_on_connect=False
                    )
                with self._lock:
                    self._open.add(client)
                _in_thread(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        # Either side may go at any time: that is what this is for.
        with client, suppress(OSError):
            if isinstance(client, ssl.SSLSocket):
                client.do_handshake()
            request = read(client)
            if request is None:
                return
            with self._lock:
                fault = next((f for f in self._faults if f.strikes(request)), None)
                request.fault = None if fault is None else fault.name
                self.requests.append(request)
            if fault is None or fault.done:
                forward(request, self._connected(), client, silent=fault is not None)
            elif fault.status:
                client.sendall(refusal(request, fault.status, fault.code))
        with self._lock:
            self._open.discard(client)

    def _connected(self) -> socket.socket:
        if self.upstream.scheme == "unix":
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(self.upstream.path)
            return upstream
        connection = socket.create_connection((self.upstream.hostname, self.upstream.port))
        if self.upstream.scheme == "https":
            return UNVERIFIED.wrap_socket(connection, server_hostname=self.upstream.hostname)
        return connection


def _bound(address: tuple[str, int]) -> socket.socket:
    bound = socket.socket()
    # Two sockets may then have one port, of which one listens.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    return bound


def _in_thread(work: Callable[[socket.socket], None], argument: socket.socket) -> None:
    threading.Thread(target=work, args=(argument,), daemon=True).start()
