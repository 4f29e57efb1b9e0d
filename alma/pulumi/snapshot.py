"""Deployments taken whole: as they stand, with their secrets encrypted, and opened in memory.

Imports no pulumi.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from alma.errors import BackendError
from alma.pulumi import checkpoint as checkpoints
from alma.pulumi.deployment import has_ciphertext
from alma.pulumi.engine import StackRef
from alma.pulumi.reading import PulumiCli

_LAYOUT: Final = "version: 1\n"
"""Of a file backend with a directory for each project: the only one alma writes."""


async def take(reader: PulumiCli, root: Path | None, ref: StackRef) -> dict[str, Any] | None:
    """The stack's deployment as it stands; no process on a file backend. None: no such stack."""
    if root is not None:
        try:
            return await asyncio.to_thread(checkpoints.load, root, ref)
        except checkpoints.NeedsCli:
            pass
    return await reader.deployment(ref, show_secrets=False)


async def open_current(reader: PulumiCli, root: Path | None, ref: StackRef) -> dict[str, Any]:
    """The stack's own deployment with its secrets open."""
    document = await take(reader, root, ref)
    if document is not None and has_ciphertext(document["deployment"]):
        document = await reader.deployment(ref, show_secrets=True)
    if document is None:
        raise BackendError(f"The stack {ref.project}/{ref.stack} is not there any more.")
    deployment: dict[str, Any] = document["deployment"]
    return deployment


def write_state(directory: Path, ref: StackRef, document: Mapping[str, Any]) -> None:
    """Make the directory a file backend that holds just this deployment, nothing pending."""
    state = directory / ".pulumi"
    path = state / "stacks" / ref.project / f"{ref.stack}.json"
    path.parent.mkdir(parents=True)
    (state / "meta.yaml").write_text(_LAYOUT)
    checkpoint = {
        "stack": f"organization/{ref.project}/{ref.stack}",
        "latest": {**document["deployment"], "pending_operations": None},
    }
    path.write_text(json.dumps({"version": document["version"], "checkpoint": checkpoint}))


async def open_kept(
    reader: PulumiCli, ref: StackRef, document: Mapping[str, Any]
) -> dict[str, Any]:
    """A kept deployment with its secrets open, whatever the stack is by now.

    The CLI decrypts it as the state of a stack on a throw-away backend: it knows every kind of
    secrets provider, and the deployment says which is its own. On disk is only ciphertext.
    """
    deployment: dict[str, Any] = document["deployment"]
    if not has_ciphertext(deployment):
        return deployment
    with tempfile.TemporaryDirectory(prefix="alma-snapshot-") as scratch:
        write_state(Path(scratch), ref, document)
        environment = {**reader.environment, "PULUMI_BACKEND_URL": Path(scratch).as_uri()}
        elsewhere = replace(reader, environment=environment)
        found = await elsewhere.deployment(ref, show_secrets=True)
    if found is None:
        raise BackendError(f"The snapshot of {ref.project}/{ref.stack} cannot be opened.")
    opened: dict[str, Any] = found["deployment"]
    return opened
