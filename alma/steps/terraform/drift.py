"""What has become of a module's resources behind its back, by a plan that only refreshes.

The document of such a plan: https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET

from alma.core.drift import MASK, Drift, PropertyDrift, ResourceDrift
from alma.core.events import Failure
from alma.core.run import StepStatus
from alma.steps.terraform.cli import Terraform
from alma.system.scratch import scratch


async def look(terraform: Terraform, values: Mapping[str, Any], status: StepStatus) -> Drift:
    """Takes no lock, and writes nothing but a plan that is thrown away."""
    state = await terraform.state()
    notes: tuple[str, ...] = ()
    if status.fingerprint not in ("", state.fingerprint):
        if not state.instances:
            why = "its state is empty, and by the journal it is up: what it held is not known"
            missing = ResourceDrift(urn=str(terraform.work_dir), op="missing", why=why)
            return Drift(resources=(missing,))
        notes = ("somebody else has changed its state since its last run of this journal",)
    with scratch("drift") as place:
        account, document = await terraform.refreshed(values, place)
    if account is None:
        words = f"{terraform.work_dir} is not initialised"
        return Drift(failure=Failure(kind="backend", message=words))
    if account.errors:
        return Drift(failure=account.failure("plan", 1), notes=notes)
    return Drift(resources=tuple(drifted(document)), notes=notes)


def drifted(document: Mapping[str, Any]) -> Iterator[ResourceDrift]:
    """What the document of a plan says of it."""
    for one in document.get("resource_drift") or ():
        change = one.get("change") or {}
        actions = change.get("actions") or []
        if one.get("mode") == "data" or actions in ([], ["no-op"], ["read"]):
            continue
        before, after = change.get("before"), change.get("after")
        deleted = actions == ["delete"]
        secret = (change.get("before_sensitive"), change.get("after_sensitive"))
        yield ResourceDrift(
            urn=str(one.get("address", "")),
            op="delete" if deleted else "update",
            id=str((before or {}).get("id") or ""),
            type=str(one.get("type", "")),
            properties=() if deleted else tuple(_compare(before, after, *secret, "")),
        )


def _compare(was: Any, now: Any, hid: Any, hides: Any, path: str) -> Iterator[PropertyDrift]:
    """Where both differ; `hid` and `hides` are true, or of the same shape, for what is sensitive.

    Null is what is not there.
    """
    was, now = (UNSET if one is None else one for one in (was, now))
    if was == now and type(was) is type(now):
        return
    if hid is True or hides is True:
        yield PropertyDrift(path=path, was=MASK, now=MASK)
    elif isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*was, *now)):
            inner = f"{path}.{key}" if path else str(key)
            marks = (_within(hid, key), _within(hides, key))
            yield from _compare(was.get(key), now.get(key), *marks, inner)
    elif isinstance(was, list) and isinstance(now, list):
        for index in range(max(len(was), len(now))):
            one, other = (part[index] if index < len(part) else None for part in (was, now))
            marks = (_within(hid, index), _within(hides, index))
            yield from _compare(one, other, *marks, f"{path}[{index}]")
    elif _holds_secret(hid) or _holds_secret(hides):
        yield PropertyDrift(path=path, was=MASK, now=MASK)
    else:
        yield PropertyDrift(path=path, was=was, now=now)


def _within(marks: Any, key: Any) -> Any:
    if isinstance(marks, Mapping):
        return marks.get(key)
    if isinstance(marks, list) and isinstance(key, int) and key < len(marks):
        return marks[key]
    return marks is True


def _holds_secret(marks: Any) -> bool:
    if isinstance(marks, Mapping):
        return any(map(_holds_secret, marks.values()))
    if isinstance(marks, list):
        return any(map(_holds_secret, marks))
    return marks is True
