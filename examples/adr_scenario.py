"""Terraform, Docker, Ansible and an API call in one saga: the third step fails, nothing is left.

A database, servers, a load balancer and a DNS record.

    python examples/adr_scenario.py             # fails at the balancer; everything is undone
    python examples/adr_scenario.py --succeed   # goes up, and is taken down again

It needs Terraform or OpenTofu, a Docker daemon with Pulumi's provider for it, and
`pip install 'alma-pulumi[docker,ansible,http]'`. The name service is a small real one, which the
script starts. What is made on disk is under `adr-scenario/` in the working directory.

IMAGE is the servers' image, BALANCER_PORT and DNS_PORT are ports of this machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

import stacks
from alma import Request, Saga, SagaFailed, destroy
from alma.core.result import Result
from stacks.docker import busybox, servers

FILES = Path(__file__).with_name("adr_scenario")
HERE = Path("adr-scenario").absolute()
SEARCH = str(Path(stacks.__file__).parents[1])
IMAGE = os.environ.get("IMAGE", "busybox:1")
BALANCER_PORT = int(os.environ.get("BALANCER_PORT", "8480"))
DNS = f"http://127.0.0.1:{os.environ.get('DNS_PORT', '8453')}"
TOOLS = {"stack": "Docker (Pulumi)", "terraform": "Terraform", "ansible": "Ansible", "http": "API"}
UNDONE = {"destroyed": "destroyed; its state is empty", "called": "undone, and that succeeded"}


def scenario(*, succeed: bool) -> Saga:
    """The saga; its balancer looks for a page that no server has, unless it shall succeed."""
    saga = Saga("adr-scenario")
    database = saga.add_terraform(
        "database",
        module(),
        variables={"directory": str(HERE), "python": sys.executable},
    )
    web = saga.add_stack(
        "servers",
        program=servers.program,
        config={**busybox.server(), "image": IMAGE, "count": 2, "publish": True},
        inputs={"db_url": database.output("url")},
    )
    balancer = saga.add_ansible(
        "balancer",
        FILES / "balancer.yml",
        undo_playbook=FILES / "no-balancer.yml",
        inventory="localhost,",
        variables={
            "directory": str(HERE / "balancer"),
            "python": sys.executable,
            "search": SEARCH,
            "port": BALANCER_PORT,
            "settings": {"health_path": "/" if succeed else "/nope", "generation": "1"},
            "patience": 60 if succeed else 2,
        },
        inputs={"upstreams": web.output("published")},
    )
    saga.add_http(
        "dns",
        do=Request("PUT", f"{DNS}/records/shop", json={"target": "{inputs.url}"}),
        undo=Request("DELETE", f"{DNS}/records/shop"),
        check=Request("GET", f"{DNS}/records/shop"),
        inputs={"url": balancer.output("url")},
    )
    return saga


def module() -> Path:
    """The Terraform module, put where its state can be: in the working directory."""
    directory = HERE / "database"
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FILES / "database.tf", directory / "main.tf")
    return directory


@contextmanager
def name_service() -> Iterator[None]:
    """The name service, at work as long as the block is."""
    port = DNS.rpartition(":")[2]
    command = ["-m", "stacks.local.names", "--port", port, "--data", str(HERE / "names.json")]
    service = subprocess.Popen([sys.executable, *command], env={**os.environ, "PYTHONPATH": SEARCH})
    try:
        deadline = time.monotonic() + 60
        while not answers():
            if service.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The name service did not start at {DNS}: set DNS_PORT to a free port.")
            time.sleep(0.05)
        yield
    finally:
        service.terminate()
        service.wait()


def answers() -> bool:
    """Whether the name service does."""
    try:
        return httpx.get(f"{DNS}/healthz").is_success
    except httpx.TransportError:
        return False


def show(result: Result) -> None:
    """What became of each step."""
    print(f"{'step':10} {'by':16} {'state':12} undo")
    for name, step in result.status.steps.items():
        undo = UNDONE.get(step.how, step.how) or "-"
        print(f"{name:10} {TOOLS[step.definition.kind]:16} {step.state.name:12} {undo}")
    print(f"{result.state.name}; left behind: {len(result.leftovers)}")


def main(*, succeed: bool) -> int:
    """Run the saga; its exit code."""
    saga = scenario(succeed=succeed)
    with name_service():
        try:
            result = saga.run()
        except SagaFailed as failed:
            print(failed, file=sys.stderr)
            show(failed.result)
            return failed.exit_code
        show(result)
        address = httpx.get(f"{DNS}/records/shop").json()["target"]
        print(f"shop is at {address}, and says: {httpx.get(address).text.strip()}")
        show(asyncio.run(destroy(saga)))
    return 0


if __name__ == "__main__":
    sys.exit(main(succeed="--succeed" in sys.argv))
