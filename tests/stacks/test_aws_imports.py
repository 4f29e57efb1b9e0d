"""A stack for AWS loads the services it uses, and no others: EC2 is half a second, and 33 MiB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Pulumi's own mocks stand in for the engine, so that the whole program runs.
LOADED = """
import asyncio, importlib, sys
import pulumi
from pulumi.runtime import mocks

class Made(mocks.Mocks):
    def new_resource(self, args):
        return args.name, {**args.inputs, "arn": "arn:aws:of:it", "id": args.name}
    def call(self, args):
        return {}

asyncio.set_event_loop(asyncio.new_event_loop())
pulumi.runtime.set_mocks(Made(), project="shop", stack="dev")
pulumi.runtime.set_all_config({"shop:zone": "shop.example"})
importlib.import_module(f"stacks.aws.{sys.argv[1]}").program()
parts = (name.split(".") for name in sys.modules if name.startswith("pulumi_aws."))
# A service that waits to be loaded is there too, but without anything in it.
print(*sorted({name for _, name, *inside in parts if inside}))
"""


@pytest.mark.parametrize(
    ("stack", "services"),
    [
        ("storage", ["s3"]),
        ("messaging", ["sns", "sqs"]),
        ("secrets", ["secretsmanager", "ssm"]),
        ("dns", ["route53"]),
    ],
)
def test_a_stack_loads_the_services_it_uses_and_no_others(stack: str, services: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, stack],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [*services], done.stderr
