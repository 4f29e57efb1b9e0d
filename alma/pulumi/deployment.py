"""A deployment as `pulumi stack export` gives it: its entries, taken whole, opened, mended.

Imports no pulumi. An entry is a resource as the state holds it (`apitype.ResourceV3`). In an
*opened* deployment each secret has its `plaintext` (JSON text) instead of its `ciphertext`: such
a one is kept in memory alone.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from alma.core.operation import Operation
from alma.errors import BackendError
from alma.pulumi import checkpoint as checkpoints
from alma.pulumi.checkpoint import ROOT_TYPE, SECRET_SIGNATURE, SIGNATURE
from alma.pulumi.cli import PulumiCli
from alma.pulumi.engine import StackRef
from alma.system import files
from alma.system.scratch import scratch

Entry = Mapping[str, Any]

PROVIDER_TYPE: Final = "pulumi:providers:"
DEFAULTS: Final = "__defaults"
"""Where bridged providers note which inputs are defaults of their own (tfbridge)."""
CREATING: Final = "creating"
"""The pending operation of a create (`sdk/go/common/apitype/deployments.go`)."""
CODE: Final = "__provider"
"""The input that holds a dynamic provider's pickled code: secret, and long."""
_LAYOUT: Final = "version: 1\n"
"""Of a file backend with a directory for each project: the only one alma writes."""


def entries_of(deployment: Mapping[str, Any]) -> list[Entry]:
    """All entries, the root and those that wait for their deletion included."""
    return list(deployment.get("resources") or [])


def live(deployment: Mapping[str, Any]) -> dict[str, Entry]:
    """By URN the entries that are there to stay, in the state's order."""
    return {entry["urn"]: entry for entry in entries_of(deployment) if not entry.get("delete")}


def is_root(entry: Entry) -> bool:
    """Whether it is the stack itself, which holds the stack's outputs."""
    return bool(entry["type"] == ROOT_TYPE)


def is_default_provider(entry: Entry) -> bool:
    """Whether the engine makes it by itself (`providers.IsDefaultProvider` in its source)."""
    return entry["type"].startswith(PROVIDER_TYPE) and name_of(entry["urn"]).startswith("default")


def is_registered(entry: Entry) -> bool:
    """Whether a program registers it: not what a provider or the engine adds by itself."""
    made = entry.get("viewOf") or entry.get("snippetID") or is_default_provider(entry)
    return not made and not entry.get("delete")


def name_of(urn: str) -> str:
    """The name, which may hold `::` itself."""
    return urn.split("::", 3)[3]


def provider_of(entry: Entry) -> tuple[str, str]:
    """URN and id of its provider; empty when it has none."""
    urn, _, identity = str(entry.get("provider", "")).rpartition("::")
    return urn, identity


def dependencies_of(entry: Entry) -> set[str]:
    """URNs of all that must be there before it."""
    urns = {entry.get("parent", ""), entry.get("deletedWith", ""), provider_of(entry)[0]}
    urns.update(entry.get("dependencies") or [])
    urns.update(entry.get("replaceWith") or [])
    for several in (entry.get("propertyDependencies") or {}).values():
        urns.update(several or [])
    return urns - {""}


def is_secret(value: Any) -> bool:
    """Whether it is a secret in a state's form."""
    return isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET_SIGNATURE


def has_ciphertext(tree: Any) -> bool:
    """Whether any secret in it is still encrypted."""
    if isinstance(tree, Mapping):
        if is_secret(tree):
            return "plaintext" not in tree
        return any(has_ciphertext(value) for value in tree.values())
    return isinstance(tree, list) and any(has_ciphertext(value) for value in tree)


def opened(tree: Any) -> Any:
    """The tree with each secret as `[signature, content]`, to be compared."""
    if is_secret(tree):
        return [SECRET_SIGNATURE, opened(json.loads(tree["plaintext"]))]
    if isinstance(tree, Mapping):
        return {key: opened(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [opened(value) for value in tree]
    return tree


def without_defaults(tree: Any) -> Any:
    """The inputs without those that the provider had put there itself, which it does again."""
    if isinstance(tree, list):
        return [without_defaults(value) for value in tree]
    if not isinstance(tree, Mapping) or is_secret(tree):
        return tree
    marked = tree.get(DEFAULTS)
    dropped = {DEFAULTS, *marked} if isinstance(marked, list) else set()
    return {key: without_defaults(value) for key, value in tree.items() if key not in dropped}


def secret_values(deployment: Mapping[str, Any]) -> Iterator[Any]:
    """The contents of the secrets in an opened deployment, but for providers' code."""
    for secret in sealed_values(deployment):
        yield json.loads(secret["plaintext"])


def sealed_values(deployment: Mapping[str, Any]) -> Iterator[Entry]:
    """The secrets in a deployment as they stand there, but for providers' code."""
    for entry in entries_of(deployment):
        for part in (entry.get("inputs"), entry.get("outputs")):
            yield from _secrets(part)


def _secrets(tree: Any) -> Iterator[Entry]:
    if is_secret(tree):
        yield tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            if key != CODE:
                yield from _secrets(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _secrets(value)


async def take_deployment(
    reader: PulumiCli, root: Path | None, ref: StackRef
) -> dict[str, Any] | None:
    """The stack's deployment as it stands; no process on a file backend. None: no such stack."""
    if root is not None:
        try:
            return await asyncio.to_thread(checkpoints.load, root, ref)
        except checkpoints.NeedsCli:
            pass
    return await reader.deployment(ref, show_secrets=False)


async def open_current(reader: PulumiCli, root: Path | None, ref: StackRef) -> dict[str, Any]:
    """The stack's own deployment with its secrets open."""
    document = await take_deployment(reader, root, ref)
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
    files.make_directory(path.parent)
    files.replace(state / "meta.yaml", _LAYOUT, durable=False)
    checkpoint = {
        "stack": f"organization/{ref.project}/{ref.stack}",
        "latest": {**document["deployment"], "pending_operations": None},
    }
    content = json.dumps({"version": document["version"], "checkpoint": checkpoint})
    files.replace(path, content, durable=False)


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
    with scratch("snapshot") as place:
        write_state(place, ref, document)
        environment = {**reader.environment, "PULUMI_BACKEND_URL": place.as_uri()}
        elsewhere = replace(reader, environment=environment)
        alone = replace(ref, organization="")
        found = await elsewhere.deployment(alone, show_secrets=True)
    if found is None:
        raise BackendError(f"The snapshot of {ref.project}/{ref.stack} cannot be opened.")
    opened: dict[str, Any] = found["deployment"]
    return opened


async def let_go(
    reader: PulumiCli, ref: StackRef, taken: Collection[tuple[str, str]], operation: Operation
) -> None:
    """Have a state let these go, by URN and id: what deletes them from it deletes them nowhere.

    Raises as `resolve_pending` does.
    """
    document = await reader.deployment(ref, show_secrets=False)
    if document is None:
        raise BackendError(f"The stack {ref.project}/{ref.stack} is not there any more.")
    await reader.replace(ref, with_let_go(document, taken), operation)


def with_let_go(document: Mapping[str, Any], taken: Collection[tuple[str, str]]) -> dict[str, Any]:
    """The document with these as `retainOnDelete`, by URN and id.

    What was to go with one of them (`deletedWith`) would stay with it now, so it is deleted
    itself.
    """
    changed = copy.deepcopy(dict(document))
    urns = {urn for urn, _ in taken}
    for entry in (changed.get("deployment") or {}).get("resources") or []:
        if (entry["urn"], entry.get("id", "")) in taken:
            entry["retainOnDelete"] = True
        if entry.get("deletedWith") in urns:
            del entry["deletedWith"]
    return changed
