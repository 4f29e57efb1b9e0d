"""What a worker loads, and then the named stacks of `stacks.aws` against Pulumi's own mocks.

Prints the seconds of processor time that it took, and the most memory that it held, in MiB.
"""

from __future__ import annotations

import asyncio
import importlib
import resource
import sys
import time
from typing import Any

import pulumi
from pulumi.runtime import mocks, set_all_config

# As the worker does before its first operation.
importlib.import_module("alma.pulumi.automation.__main__")
importlib.import_module("alma.pulumi.automation.operation")


class Made(mocks.Mocks):
    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        return args.name, {**args.inputs, "arn": "arn:aws:of:it", "id": args.name}

    def call(self, args: Any) -> dict[str, Any]:  # noqa: ARG002
        return {}


asyncio.set_event_loop(asyncio.new_event_loop())
pulumi.runtime.set_mocks(Made(), project="shop", stack="dev")
listed = ("availability_zones", "subnet_ids", "security_group_ids")
set_all_config({"shop:ami": "ami-1", **{f"shop:{key}": '["one"]' for key in listed}})
for name in sys.argv[1:]:
    importlib.import_module(f"stacks.aws.{name}").program()
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
