"""A proxy for any protocol over TCP, in front of a service: it cuts, loses answers, delays.

wire = Wire("127.0.0.1", port)
wire.cut(match=b"INSERT INTO")                 # the connection goes, the service sees nothing
wire.cut(match=b"INSERT INTO", done=True)      # it is done, and the answer is lost
wire.delay(0.5, match=b"INSERT INTO")
wire.hush(match=b"INSERT INTO")                # it is done, and from then on nothing is answered
wire.sever()                                   # all that is open goes, here and now
wire.sever(half=True)                          # ... and the service does not hear of it
wire.down(); wire.up()                         # the service is away for a while
wire.mute(); wire.speak()                      # connections stay open, and nothing is answered
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
CHUNK = 65536
Sent = bytes | Callable[[bytes], bool]


@dataclass
class Strike:
    """Done to what a client sends and that matches, until its times are used up."""

    match: Sent
    times: int
    done: bool = False
    seconds: float = 0.0
    hush: bool = False
    hits: int = 0

    def strikes(self, sent: bytes) -> bool:
        """Tell whether it is this one's turn, and count it."""
        found = self.match in sent if isinstance(self.match, bytes) else self.match(sent)
        if not found or self.hits >= self.times:
            return False
        self.hits += 1
        return True


class Wire:
    """Listens on a port of its own of this machine, and stays there when it is down."""

    def __init__(
        self, host: str, port: int, *, answer: Callable[[bytes], bytes] = lambda said: said
    ) -> None:
        """`answer` may change what the service says."""
        self.there = (host, port)
        self._answer = answer
        self._strikes: list[Strike] = []
        self._lock = threading.Lock()
        self._open: set[tuple[socket.socket, socket.socket]] = set()
        self._held: list[socket.socket] = []
        self._is_up = True
        self._speaks = threading.Event()
        self._speaks.set()
        self._listener = socket.create_server((LOOPBACK, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, match: Sent, *, times: int = 1, done: bool = False) -> Strike:
        """Close the connection that sends this; with `done`, after the service has answered it."""
        return self._add(Strike(match, times, done))

    def delay(self, seconds: float, match: Sent, *, times: int = 1) -> Strike:
        """Pass it on only then."""
        return self._add(Strike(match, times, seconds=seconds))

    def hush(self, match: Sent, *, times: int = 1) -> Strike:
        """Pass it on, and nothing that the service says on this connection from then on."""
        return self._add(Strike(match, times, hush=True))

    def mute(self) -> None:
        """Pass on nothing that the service says; whatever is open or is opened stays open."""
        self._speaks.clear()

    def speak(self) -> None:
        """Let its answers through again: on connections that are opened from now on."""
        self._speaks.set()

    def down(self) -> None:
        """Close what is open, and what is opened."""
        with self._lock:
            self._is_up = False
        self.sever()

    def sever(self, *, half: bool = False) -> None:
        """Close what is open; `half`: towards the clients alone."""
        with self._lock:
            broken, self._open = self._open, set()
            if half:
                # What is held is open to the service, whoever closes his end of it.
                self._held += [server.dup() for _, server in broken]
        for client, server in broken:
            # First of all towards the service: once the client's end is shut, its thread closes
            # both, and what is closed while another thread reads from it is never shut.
            if not half:
                _shut(server)
            _shut(client)

    def up(self) -> None:
        """Let through again."""
        with self._lock:
            self._is_up = True

    def close(self) -> None:
        """Go for good."""
        self.down()
        for each in self._held:
            each.close()
        _shut(self._listener)
        self._listener.close()

    def _add(self, strike: Strike) -> Strike:
        with self._lock:
            self._strikes.append(strike)
        return strike

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # Either side may go at any time: that is what this is for.
        with client, suppress(OSError), socket.create_connection(self.there) as server:
            with self._lock:
                if not self._is_up:
                    return
                self._open.add((client, server))
            silent, hushed = threading.Event(), threading.Event()
            arguments = (server, client, silent, hushed)
            threading.Thread(target=self._tell, args=arguments, daemon=True).start()
            while sent := client.recv(CHUNK):
                with self._lock:
                    strike = next((one for one in self._strikes if one.strikes(sent)), None)
                if strike is not None and strike.seconds:
                    time.sleep(strike.seconds)
                elif strike is not None and strike.hush:
                    hushed.set()
                elif strike is not None and not strike.done:
                    break
                elif strike is not None:
                    silent.set()  # The next answer ends it, unseen.
                server.sendall(sent)
            if not silent.is_set():
                self._end(client, server)
            _shut(client)

    def _tell(
        self,
        server: socket.socket,
        client: socket.socket,
        silent: threading.Event,
        hushed: threading.Event,
    ) -> None:
        with suppress(OSError):
            while said := server.recv(CHUNK):
                if silent.is_set():
                    break
                if not self._speaks.is_set():
                    hushed.set()  # for good: its client has missed something
                if hushed.is_set():
                    continue
                client.sendall(self._answer(said))
        _shut(client)
        self._end(client, server)

    def _end(self, client: socket.socket, server: socket.socket) -> None:
        """Once for each pair: a shutdown would be heard through what is held, too."""
        with self._lock:
            if (client, server) not in self._open:
                return
            self._open.discard((client, server))
        _shut(server)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
