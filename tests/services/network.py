"""A bridge and a range of addresses for a Docker daemon, apart from every other on the machine."""

from __future__ import annotations

import ipaddress
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import ServiceError

ROUTES = Path("/proc/net/route")


@dataclass(frozen=True)
class Network:
    """10.NUMBER.0.0/16; the claim is the bridge, whose name the kernel gives only once."""

    number: int

    @property
    def bridge(self) -> str:
        """The bridge of containers that ask for no network."""
        return f"alma-{self.number}"

    @property
    def range(self) -> ipaddress.IPv4Network:
        """All addresses of the daemon's networks."""
        return ipaddress.IPv4Network(f"10.{self.number}.0.0/16")

    @property
    def pool(self) -> str:
        """Where networks that containers ask for get their addresses; as dockerd wants it."""
        return f"base=10.{self.number}.128.0/17,size=24"

    @classmethod
    def claimed(cls, busybox: Path) -> Network:
        """Make the bridge of a range that the machine has no route to."""
        error = "no range is free"
        for number in random.sample(range(128, 250), 122):
            network = cls(number)
            if next(network.interfaces(), None) is not None:
                continue
            try:
                ip(busybox, "link", "add", network.bridge, "type", "bridge")
            except ServiceError as failure:
                error = str(failure)
                continue
            ip(busybox, "addr", "add", f"10.{number}.0.1/24", "dev", network.bridge)
            ip(busybox, "link", "set", network.bridge, "up")
            return network
        raise ServiceError(f"There is no network for the Docker daemon of the tests: {error}")

    def interfaces(self) -> Iterator[str]:
        """Yield the names of the interfaces into this range."""
        for line in ROUTES.read_text().splitlines()[1:]:
            name, destination, *_, mask = line.split()[:8]
            route = ipaddress.IPv4Network((little(destination), little(mask).bit_count()))
            # A wider one, such as a VPN's 10.0.0.0/8, gives way to what is more specific.
            if route.subnet_of(self.range):
                yield name

    def release(self, busybox: Path) -> None:
        """Remove the bridge and those of networks that a daemon which was killed has left."""
        left = {name for name in self.interfaces() if name.startswith("br-")}
        for name in {self.bridge, *left}:
            ip(busybox, "link", "del", name)


def little(digits: str) -> int:
    """Return the number that the kernel prints as its bytes lie in memory."""
    return int.from_bytes(bytes.fromhex(digits), "little")


def ip(busybox: Path, *arguments: str) -> None:
    """Run busybox's `ip`: not every machine has one of its own."""
    command: list[str | Path] = [busybox, "ip", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ServiceError(f"`ip {' '.join(arguments)}` failed: {result.stderr.strip()}")
