"""The balancer's process: round robin over upstreams that pass their health check.

Settings come from a JSON file, `{"upstreams", "health_path", "port", "generation"}`, which SIGHUP
makes it read again (all but the port). `GET /-/status` tells generation and health. Standard
library only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from stacks.local import web

CHECK_EVERY = 0.25  # seconds between two health checks of an upstream
CHECK_TIMEOUT = 1.0  # seconds an upstream has to answer one
FORWARD_TIMEOUT = 30.0  # seconds an upstream has to answer a request
STATUS_PATH = "/-/status"

# These concern one connection, not the message that is passed on (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "proxy-authenticate", "proxy-authorization", "content-length"),
        *("server", "date"),
    }
)


@dataclass
class Upstream:
    """One upstream, and what its last health check (or use) gave: "200", "404", "timed out"."""

    url: str
    last: str = "not checked yet"

    @property
    def healthy(self) -> bool:
        """Whether it gets requests."""
        return self.last == "200"


class Pool:
    """The upstreams, their health, and whose turn it is."""

    def __init__(self, settings_file: Path) -> None:
        self._file = settings_file
        self._turn = itertools.count()
        self.wake = threading.Event()  # set by SIGHUP: settings are to be read again
        self.port = 0
        self.load()

    def load(self) -> None:
        """Read the settings; upstreams that stay keep what is known about them."""
        settings = json.loads(self._file.read_text(encoding="utf-8"))
        known = {u.url: u for u in getattr(self, "upstreams", [])}
        if settings["health_path"] != getattr(self, "health_path", None):
            known = {}
        self.port = settings["port"]
        self.health_path: str = settings["health_path"]
        self.upstreams = [known.get(url) or Upstream(url) for url in settings["upstreams"]]
        self.generation: str = settings["generation"]

    def turn(self) -> list[Upstream]:
        """The healthy upstreams, the one whose turn it is first."""
        healthy = [u for u in self.upstreams if u.healthy]
        first = next(self._turn) % len(healthy) if healthy else 0
        return healthy[first:] + healthy[:first]

    def status(self) -> dict[str, Any]:
        """What `GET /-/status` answers."""
        upstreams = [{"url": u.url, "healthy": u.healthy, "last": u.last} for u in self.upstreams]
        return {"generation": self.generation, "upstreams": upstreams}

    def watch(self) -> None:
        """Check the upstreams for ever, all at once, so that a slow one delays no other."""
        with ThreadPoolExecutor(max_workers=16) as checks:
            while True:
                list(checks.map(self.check, self.upstreams))
                if self.wake.wait(CHECK_EVERY):
                    self.wake.clear()
                    self.load()

    def check(self, upstream: Upstream) -> None:
        """Ask one upstream for its health."""
        try:
            url = upstream.url.rstrip("/") + self.health_path
            upstream.last = str(web.request("GET", url, timeout=CHECK_TIMEOUT)[0])
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a URL that is none
            upstream.last = web.reason(error)


class Handler(web.JsonHandler):
    """Passes each request to one healthy upstream."""

    pool: Pool

    def forward(self) -> None:
        """Pass the request on; 503 when no upstream is healthy, 502 when those that are fail."""
        if self.path == STATUS_PATH:
            self.reply(200, self.pool.status())
            return
        if "Transfer-Encoding" in self.headers:
            self.reply(411, {"error": "a request body needs a Content-Length"})
            return
        body = self.body() or None
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        tried = self.pool.turn()
        for upstream in tried:
            try:
                url = upstream.url.rstrip("/") + self.path
                answer = web.request(
                    self.command, url, body=body, headers=headers, timeout=FORWARD_TIMEOUT
                )
            except (OSError, HTTPException) as error:
                upstream.last = web.reason(error)
                # A refused connection has carried nothing. Past that, only a request that may be
                # repeated goes to the next one: the upstream may have acted on it.
                repeatable = self.command in ("GET", "HEAD", "OPTIONS")
                if repeatable or isinstance(error, ConnectionRefusedError):
                    continue
                break
            self.pass_back(upstream, *answer)
            return
        what = "the upstream failed" if tried else "no upstream is healthy"
        self.reply(502 if tried else 503, {"error": what, **self.pool.status()})

    def pass_back(
        self, upstream: Upstream, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        """Give the client the upstream's answer, and say whose it is."""
        length = str(len(body))
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
            elif name.lower() == "content-length" and self.command == "HEAD":
                length = value  # of the body that a GET would have had
        self.send_header("Content-Length", length)
        self.send_header("X-Upstream", upstream.url)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward


def main() -> None:
    """Read the settings, watch the upstreams, serve."""
    parser = argparse.ArgumentParser(prog="python -m stacks.local.proxy")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int)
    args = parser.parse_args()
    pool = Handler.pool = Pool(args.settings)
    signal.signal(signal.SIGHUP, lambda *_: pool.wake.set())
    threading.Thread(target=pool.watch, daemon=True).start()
    web.run(Handler, pool.port, args.ready_fd)


if __name__ == "__main__":
    main()
