"""The server: a place that is free, one process, and an end at once when it is asked to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn

from alma.errors import DefinitionError
from alma.web.app import application
from alma.web.site import Site

_GRACE: Final = 2
"""Seconds that an answer which is under way may take once the server is to end."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes requests there; DefinitionError where it is taken, or is not ours."""
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise DefinitionError(f"{host} is no address of this machine: {error}.") from error
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise DefinitionError(
            f"Port {port} of {host} cannot be had: {error.strerror}.",
            hint="Give another one with --port; 0 takes any that is free.",
        ) from error
    return listening


def serve(site: Site, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer until a SIGINT or a SIGTERM; `ready` is called once it does."""
    config = uvicorn.Config(
        application(site),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        # Who asks is said by --behind-proxy alone, and that is the guard's to read.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with listening, suppress(KeyboardInterrupt):  # it passes the signal on when it has ended
        asyncio.run(_Server(config, site, ready).serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """Ends what would go on for ever, too: each page that is watching a run."""

    def __init__(self, config: uvicorn.Config, site: Site, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._site, self._ready = site, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; then it is told."""
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn does, from wherever the signal comes."""
        super().handle_exit(sig, frame)
        self._site.closing.set()
