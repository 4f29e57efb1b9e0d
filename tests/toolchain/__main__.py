"""`python -m tests.toolchain [PART ...]`: one line for the front of PATH.

The line is empty when PATH has everything already.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

if not __package__:
    # Started as a file: Python then put this directory on the path in place of the checkout.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.toolchain import (
    chromium,
    docker,
    docker_plugin,
    kubernetes,
    kubernetes_plugin,
    localstack,
    postgres,
    pulumi_cli,
    temporal,
    terragrunt,
    tofu,
)
from tests.toolchain.process import UnavailableError

PARTS = {
    "pulumi": pulumi_cli.directories,
    "localstack": localstack.directories,
    "docker": docker.directories,
    "docker-plugin": docker_plugin.directories,
    "kubernetes": kubernetes.directories,
    "kubernetes-plugin": kubernetes_plugin.directories,
    "postgres": postgres.directories,
    "temporal": temporal.directories,
    "tofu": tofu.directories,
    "chromium": chromium.directories,
    "terragrunt": terragrunt.directories,
}


def main(arguments: list[str] | None = None) -> int:
    """Print the directories of the parts asked for; say in one sentence what is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.toolchain", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}")
    parts = parser.parse_args(arguments).parts or ["pulumi"]
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"unknown part: {', '.join(unknown)}")
    try:
        found = [directory for part in parts for directory in PARTS[part]()]
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    # What PATH has already is not moved to its front: it could then hide a virtualenv's python.
    on_path = {Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry}
    print(os.pathsep.join(dict.fromkeys(str(d) for d in found if d not in on_path)))
    return 0


def _terminated(*_: object) -> None:
    # As an exception, so that a build under way is ended before its lock is let go.
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
