from __future__ import annotations

import time
import urllib.request
from contextlib import closing

from tests.services.docker import DockerDaemon


def fetched(url: str) -> bytes:
    """Return what is at the address, once it answers."""
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() < deadline, f"no answer from {url}"
            time.sleep(0.05)


def test_containers_reach_each_other_by_name_and_publish_a_port(
    docker_daemon: DockerDaemon,
) -> None:
    with closing(docker_daemon.client()) as client:
        network = client.networks.create("smoke")
        serve = "echo hello >/www/index.html && exec httpd -f -h /www -p 80"
        behind = client.containers.run(
            docker_daemon.image,
            ["sh", "-c", serve],
            name="behind",
            network="smoke",
            detach=True,
            ports={"80/tcp": ("127.0.0.1", None)},
        )
        front = client.containers.run(
            docker_daemon.image, ["sleep", "60"], name="front", network="smoke", detach=True
        )
        try:
            behind.reload()
            port = behind.ports["80/tcp"][0]["HostPort"]
            assert fetched(f"http://127.0.0.1:{port}/") == b"hello\n"
            code, output = front.exec_run(["wget", "-q", "-O", "-", "http://behind/"])
            assert (code, output) == (0, b"hello\n")
        finally:
            for container in (behind, front):
                container.remove(force=True)
            network.remove()
        # The other worker's tests have theirs at the same daemon.
        left = {
            container.name for container in client.containers.list(ignore_removed=True, all=True)
        }
        assert not left & {"behind", "front"}
