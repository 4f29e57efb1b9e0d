"""A Docker daemon beside the machine's own, if it has one: data, networks and socket of its own."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services.network import Network
from tests.services.process import ServiceError, started
from tests.toolchain import docker as toolchain

if TYPE_CHECKING:
    import docker

START = 60
IMAGE = "alma-test/busybox:1"


@dataclass(frozen=True)
class DockerDaemon:
    """Where it is, and the one image it has: a busybox, every applet of it in /bin."""

    host: str
    image: str = IMAGE

    def client(self) -> docker.DockerClient:
        """Return a client of the Docker SDK; close it after use."""
        import docker

        return docker.DockerClient(base_url=self.host)


@contextmanager
def running(directory: Path) -> Iterator[DockerDaemon]:
    """Run a daemon with its data in `directory`; its containers are gone before it is."""
    if os.geteuid() != 0:
        raise ServiceError("The Docker daemon of the tests needs root: run them as root.")
    daemon, shell = toolchain.directories()
    busybox = shell / "busybox"
    network = Network.claimed(busybox)
    socket = directory / "docker.sock"
    # A PID namespace: with its first process all die, containers and their shims included.
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--"]
    command: list[str | Path] = [
        *(daemon / "dockerd", "--host", f"unix://{socket}"),
        *("--data-root", directory / "data", "--exec-root", directory / "exec"),
        *("--pidfile", directory / "docker.pid"),
        # The machine's packet filter stays as it is; published ports go through docker-proxy.
        *("--iptables=false", "--ip-masq=false", "--ip-forward=false"),
        *("--bridge", network.bridge, "--default-address-pool", network.pool),
    ]
    try:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        with started([*apart, *command], directory=directory, environment=environment) as process:
            process.name = "dockerd"
            service = DockerDaemon(f"unix://{socket}")
            process.wait_until(lambda: answers(service), START)
            with closing(service.client()) as client:
                client.api.import_image_from_data(
                    root_file_system(busybox),
                    *IMAGE.split(":"),
                    changes=["ENV PATH=/bin", 'CMD ["sh"]'],
                )
            try:
                yield service
            finally:
                clear(service)
    finally:
        network.release(busybox)


def answers(service: DockerDaemon) -> bool:
    """Tell whether the daemon answers."""
    from docker.errors import DockerException

    try:
        with closing(service.client()) as client:
            return bool(client.ping())
    except DockerException:
        return False


def clear(service: DockerDaemon) -> None:
    """Remove containers and networks, as far as the daemon answers; its namespace's end kills."""
    from docker.errors import DockerException
    from requests import RequestException

    with (
        suppress(DockerException, RequestException),
        closing(service.client()) as client,
    ):
        for container in client.containers.list(all=True):
            container.remove(force=True)
        client.networks.prune()


def root_file_system(busybox: Path) -> bytes:
    """Return the image's files as a tar archive: busybox, its applets and empty directories."""
    program = busybox.read_bytes()
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "etc", "root", "tmp", "var", "www"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(directory)
        file = tarfile.TarInfo("bin/busybox")
        file.size, file.mode = len(program), 0o755
        archive.addfile(file, io.BytesIO(program))
        for applet in set(applets.stdout.split()) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()
