"""A saga of one CloudFormation stack, and what became of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alma import Saga, SagaFailed
from alma.core.result import Result
from tests.steps.cloudformation.api import FakeCloudFormation

THING = "Test::Made::Thing"
STACK = "shop-dev-data"
SAGA = """
from alma import Saga, Secret
from tests.steps.cloudformation.tools import template

saga = Saga("shop", stack="dev")
saga.add_cloudformation("data", template("A", "B"), parameters={"Password": "canary-7Qx9wV-secret"})
"""


def template(*names: str, size: str = "1", **policies: str) -> dict[str, Any]:
    """Things, one of them told a password; `policies` by name."""
    found: dict[str, Any] = {
        name: {"Type": THING, "Properties": {"Size": size if name == "A" else "1"}}
        for name in names
    }
    for name, policy in policies.items():
        found[name]["DeletionPolicy"] = policy
    found[names[0]]["Properties"]["Password"] = {"Ref": "Password"}
    return {
        "Parameters": {
            "Password": {"Type": "String", "NoEcho": True, "Default": "none"},
            "Mode": {"Type": "String", "Default": "plain"},
        },
        "Resources": found,
        "Outputs": {"Mode": {"Value": {"Ref": "Mode"}}, "Key": {"Value": {"Ref": "Password"}}},
    }


def saga_of(*names: str, fails: bool = False, **options: Any) -> Saga:
    """One stack; then a step that fails, if it shall."""
    saga = Saga("shop", stack="dev")
    given = {key: options.pop(key) for key in ("size", *names) if key in options}
    saga.add_cloudformation("data", template(*names, **given), **options)
    if fails:
        saga.add_step(broken, "none")
    return saga


def broken() -> None:
    raise RuntimeError("asked to")


async def failing(saga: Saga) -> Result:
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    return failed.value.result


def named(result: Result) -> list[str]:
    """What is left, by resource or, of the stack as a whole, as `stack`."""
    return [left.urn or "stack" for left in result.leftovers]


def make_theirs(aws: FakeCloudFormation) -> None:
    """Somebody else makes a stack of the same name."""
    made = aws.on_CreateChangeSet(
        {
            "StackName": STACK,
            "ChangeSetName": "theirs",
            "ChangeSetType": "CREATE",
            "ClientToken": "theirs",
            "TemplateBody": json.dumps(template("A")),
        }
    )
    aws.on_ExecuteChangeSet({"ChangeSetName": made["Id"], "ClientRequestToken": "theirs"})
    aws.on_DescribeStacks({"StackName": STACK})
