"""LocalStack: AWS on this machine."""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.process import started
from tests.toolchain import localstack

START = 100
# LocalStack's own names for what it would do over the network or with the machine: no usage
# reports, no certificate to download, no name server on port 53.
QUIET = {"DISABLE_EVENTS": "1", "SKIP_SSL_CERT_DOWNLOAD": "1", "DNS_ADDRESS": "0"}
FOREIGN = ("AWS_", "LOCALSTACK_", "GATEWAY_", "PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True)
class LocalStack:
    """Where it is; the account is 000000000000, key and secret are `test`."""

    url: str
    region: str = "us-east-1"

    def client(self, service: str, **options: object) -> Any:
        """Return a boto3 client, as of `boto3.client(service, **options)`."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            **options,
        )


@contextmanager
def running(directory: Path) -> Iterator[LocalStack]:
    """Run LocalStack on a free port, with its data in `directory`."""
    (program,) = (path / localstack.PROGRAM for path in localstack.directories())
    address = f"127.0.0.1:{free_port()}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)} | QUIET
    environment |= {
        # Of this it heeds the port only, and listens on every interface.
        "GATEWAY_LISTEN": address,
        # The address in what it returns, such as a queue's URL: its usual name needs the internet.
        "LOCALSTACK_HOST": address,
        "SQS_ENDPOINT_STRATEGY": "path",
        "LOCALSTACK_VOLUME_DIR": str(directory / "volume"),
        "TMPDIR": str(directory),
    }
    (directory / "volume").mkdir()
    with started([program], directory=directory, environment=environment) as process:
        process.wait_until(lambda: healthy(f"http://{address}"), START)
        yield LocalStack(f"http://{address}")


def healthy(url: str) -> bool:
    """Tell whether LocalStack answers."""
    with urllib.request.urlopen(f"{url}/_localstack/health", timeout=5) as answer:
        return bool(json.load(answer)["services"])


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
