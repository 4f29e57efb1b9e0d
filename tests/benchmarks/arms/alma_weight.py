"""A: one stack of a kind; what its operation weighs is looked at from outside."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi
from stage import stage

from alma import Saga
from stacks.local import database


def kubernetes() -> None:
    """The official plugin; it renders what it would create, so that no cluster is needed."""
    where = {"renderYamlToDirectory": str(Path.cwd() / "rendered")}
    provider = pulumi.ProviderResource("kubernetes", "render", where)
    pulumi.CustomResource(
        "kubernetes:core/v1:ConfigMap",
        "part",
        {"metadata": {"name": "part", "namespace": "default"}, "data": {"key": "value"}},
        pulumi.ResourceOptions(provider=provider),
    )


PROGRAMS = {"stash": stage, "dynamic": database.program, "kubernetes": kubernetes}
saga = Saga("weight", stack="dev")
saga.add_stack("only", program=PROGRAMS[sys.argv[1]])
saga.run()
