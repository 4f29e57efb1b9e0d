"""A stack's state as Pulumi keeps it, read without a process where it is a file.

Shapes: `sdk/go/common/apitype/core.go` in pulumi/pulumi (CheckpointV3, DeploymentV3, ResourceV3).
The file is written by rename, so a reader sees one whole state or the other.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alma.core.secret import Secret
from alma.errors import BackendError
from alma.pulumi.engine import Checkpoint, PendingOperation, Resource, StackRef

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key that marks an object as a special value (`resource.SigKey`) ..."""
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker
"""... and its value for a secret (`resource.SecretSig`)."""

FLOAT_SIGNATURE: Final = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"
"""... for a number that JSON cannot hold (`floatSignature` in pkg/resource/stack)."""

ROOT_TYPE: Final = "pulumi:pulumi:Stack"
_NEWEST: Final = 4
"""Of the deployment schema: 4 adds a list of features to 3, and changes no field."""
_VOLATILE: Final = frozenset({"created", "sourcePosition", "stackTrace"})
"""Resource fields that say nothing about what the resource is now."""
_UNORDERED: Final = frozenset({"dependencies", "propertyDependencies"})
"""Resource fields whose lists of URNs come out of sets: in another order in each process."""


class NeedsCli(Exception):  # noqa: N818 - not an error: the CLI can read what we cannot
    """This backend's layout or compression is not ours to read."""


def read(root: Path, ref: StackRef) -> Checkpoint:
    """The state in a file backend's directory. Raises `NeedsCli`, or `BackendError` if damaged."""
    document = load(root, ref)
    if document is None:
        return Checkpoint(exists=False)
    try:
        return parse(document["deployment"], version=document["version"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(root, ref, error) from error


def load(root: Path, ref: StackRef) -> dict[str, Any] | None:
    """The same as a document such as `pulumi stack export` prints; None when there is none."""
    stacks = root / ".pulumi" / "stacks"
    if not stacks.is_dir():
        return None
    if _layout(root / ".pulumi" / "meta.yaml") != 1:
        raise NeedsCli
    path = stacks / ref.project / f"{ref.stack}.json"
    compressed = path.with_name(f"{path.name}.gz")
    if path.with_name(f"{path.name}.zst").exists():
        raise NeedsCli
    try:
        data = path.read_bytes() if path.exists() else gzip.decompress(compressed.read_bytes())
        document = json.loads(data)
        deployment = document["checkpoint"].get("latest") or {}
        return {"version": document.get("version", 0), "deployment": deployment}
    except FileNotFoundError:
        return None
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise _damaged(root, ref, error) from error


def _damaged(root: Path, ref: StackRef, error: Exception) -> BackendError:
    path = root / ".pulumi" / "stacks" / ref.project / f"{ref.stack}.json"
    return BackendError(
        f"The state of stack {ref.project}/{ref.stack} in {path} cannot be read: {error}.",
        hint=f"The state before the last change is in {path.name}.bak beside it.",
    )


def passphrase_salt(root: Path, ref: StackRef) -> str:
    """The salt that a stack's secrets are encrypted with, if by a passphrase; else empty."""
    try:
        deployment = (load(root, ref) or {}).get("deployment") or {}
    except NeedsCli:
        return ""
    provider = deployment.get("secrets_providers") or {}
    if provider.get("type") != "passphrase":
        return ""
    return str((provider.get("state") or {}).get("salt", ""))


def checkpoint_of(document: Mapping[str, Any] | None, ref: StackRef) -> Checkpoint:
    """Of what `pulumi stack export` prints. Raises `BackendError` when it is not that."""
    if document is None:
        return Checkpoint(exists=False)
    try:
        return parse(document["deployment"], version=document["version"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackendError(
            f"The exported state of stack {ref.project}/{ref.stack} cannot be read: {error}."
        ) from error


def parse(deployment: Mapping[str, Any], *, version: int) -> Checkpoint:
    """A deployment as plain data; `ValueError` and its like for what is not one."""
    if version > _NEWEST:
        raise ValueError(f"its schema version {version} is newer than alma knows")
    entries = deployment.get("resources") or []
    pending = deployment.get("pending_operations") or []
    outputs: Mapping[str, Any] = {}
    for entry in entries:
        if entry["type"] == ROOT_TYPE:
            outputs = entry.get("outputs") or {}
    kept = [entry for entry in entries if entry["type"] != ROOT_TYPE]
    return Checkpoint(
        exists=True,
        resources=tuple(_resource(entry) for entry in kept),
        pending=tuple(_pending(operation) for operation in pending),
        outputs={key: _seal(value) for key, value in outputs.items()},
        fingerprint=_fingerprint(entries, pending),
        at=str((deployment.get("manifest") or {}).get("time", "")),
        delete_hooks=_delete_hooks(kept),
    )


def fill(sealed: Any, revealed: Any) -> Any:
    """The first tree with every sealed `Secret` opened by what stands there in the second."""
    if isinstance(sealed, Secret):
        return Secret(revealed)
    if isinstance(sealed, Mapping) and isinstance(revealed, Mapping):
        return {key: fill(value, revealed.get(key)) for key, value in sealed.items()}
    if isinstance(sealed, list) and isinstance(revealed, list):
        return [fill(old, new) for old, new in zip(sealed, revealed, strict=False)]
    return sealed


def _layout(meta: Path) -> int:
    try:
        match = re.fullmatch(r"version:\s*(\d+)\s*", meta.read_text())
    except (OSError, UnicodeDecodeError):
        return 0
    return int(match[1]) if match else -1


def _delete_hooks(entries: list[Any]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for entry in entries:
        for kind, hooks in (entry.get("resourceHooks") or {}).items():
            if kind.endswith("Delete"):
                names.update(dict.fromkeys(hooks or ()))
    return tuple(names)


def _resource(entry: Mapping[str, Any]) -> Resource:
    return Resource(
        urn=entry["urn"],
        type=entry["type"],
        id=entry.get("id", ""),
        custom=bool(entry.get("custom", False)),
        protect=bool(entry.get("protect", False)),
        external=bool(entry.get("external", False)),
        retain_on_delete=bool(entry.get("retainOnDelete", False)),
        pending_replacement=bool(entry.get("pendingReplacement", False)),
    )


def _pending(operation: Mapping[str, Any]) -> PendingOperation:
    resource = operation["resource"]
    return PendingOperation(
        urn=resource["urn"],
        kind=operation["type"],
        id=resource.get("id", ""),
        type=resource["type"],
        inputs=_seal(resource.get("inputs") or {}),
    )


def _seal(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            return Secret.sealed()
        if value.get(SIGNATURE) == FLOAT_SIGNATURE:
            return float(struct.unpack(">d", bytes.fromhex(value["value"]))[0])
        return {key: _seal(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_seal(entry) for entry in value]
    return value


def _fingerprint(entries: list[Any], pending: list[Any]) -> str:
    """SHA-256 over what is there, in an order of its own: parallel work may reorder the state.

    Every update encrypts secrets anew, so ciphertext counts by its length alone. That a secret
    changed to one as long shows in `modified`, which an update that changes nothing leaves.
    """
    lines = [
        json.dumps(
            [kind, {key: _settled(key, entry[key]) for key in entry if key not in _VOLATILE}],
            sort_keys=True,
        )
        for kind, entry in (
            *(("resource", entry) for entry in entries),
            *((operation["type"], operation["resource"]) for operation in pending),
        )
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _settled(field: str, value: Any) -> Any:
    if field not in _UNORDERED:
        return _stable(value)
    if isinstance(value, Mapping):
        return {key: sorted(urns or ()) for key, urns in value.items()}
    return sorted(value or ())


def _stable(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            return ["secret", len(str(value.get("ciphertext", "")))]
        return {key: _stable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_stable(entry) for entry in value]
    return value
