"""What a provider may name in saying why it failed: the secrets of the stack's own state.

The CLI takes a stack's secret config out of what it prints; what providers have made of it, or by
themselves, it does not, and a destroy is given no config. Imports no pulumi.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alma.core.secret import Secret
from alma.errors import AlmaError, BackendError
from alma.pulumi import checkpoint as checkpoints
from alma.pulumi.cli import PulumiCli
from alma.pulumi.deployment import (
    entries_of,
    open_kept,
    sealed_values,
    secret_values,
    take_deployment,
)
from alma.pulumi.engine import StackRef
from alma.pulumi.messages import Task


async def held_before(task: Task, root: Path | None) -> Mapping[str, Any] | None:
    """The deployment that a destroy takes down, where reading it takes no process."""
    if root is None or task.kind != "destroy":
        return None
    try:
        return await asyncio.to_thread(checkpoints.load, root, _ref(task))
    except (checkpoints.NeedsCli, BackendError):
        return None


async def state_secrets(
    task: Task, root: Path | None, before: Mapping[str, Any] | None
) -> list[Secret]:
    """The secrets of the state, or of that `before`, opened in memory alone.

    None where it cannot be opened: that is what the operation has failed for.
    """
    if task.kind not in ("up", "destroy", "restore"):
        return []
    reader = PulumiCli(cli=task.cli, environment=task.environment)
    try:
        held = before or await take_deployment(reader, root, _ref(task))
        if held is None or not any(True for _ in sealed_values(held["deployment"])):
            return []
        opened = await open_kept(reader, _ref(task), held)
        return hidden(opened)
    except (AlmaError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def hidden(opened: Mapping[str, Any]) -> list[Secret]:
    """The secrets of an opened deployment that it keeps as such wherever they stand.

    What is a secret in one resource and the id of another (an ARN that a parameter holds) is in
    the state in plain, and is how the other is named where it is left.
    """
    ids = {entry.get("id") for entry in entries_of(opened)}
    return [
        Secret(value)
        for value in secret_values(opened)
        if not (isinstance(value, str) and value in ids)
    ]


def _ref(task: Task) -> StackRef:
    return StackRef(project=task.project, stack=task.stack, organization=task.organization)
