"""What Terraform says with `-json`, a JSON object a line: what was done, and what went wrong.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui; OpenTofu says the same.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from alma.core.events import (
    DELETING,
    IMPORTED,
    IN_DOUBT,
    UNANSWERED,
    UPDATING,
    Failure,
    ResourceChange,
)
from alma.pulumi.doubts import lost_answer

_LOCKED: Final = "Error acquiring the state lock"
_OPEN: Final = {"create": UNANSWERED, "update": UPDATING, "delete": DELETING}
_HOOKS: Final = {"apply_start", "apply_complete", "apply_errored"}
_LOUD: Final = {"provision_progress", "outputs"}
"""Kinds of messages that may hold what a program printed, or values."""
_FIELD: Final = re.compile(r"^[ \t]*(ID|Who|Created):[ \t]*(\S.*)$", re.MULTILINE)
_FRAME: Final = re.compile(r"^[\s╷│╵]+|\x1b\[[0-9;]*m", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A state lock that somebody holds: `who` is `user@host`."""

    id: str
    who: str
    created: datetime | None


@dataclass(kw_only=True)
class TerraformLog:
    """What one command did, as far as it told."""

    done: dict[str, ResourceChange] = field(default_factory=dict)
    planned: dict[str, str] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    """By address the id of what is not made, but taken into the state."""
    under_way: dict[str, str] = field(default_factory=dict)
    """By address the action that was begun and of which no end was told."""
    errored: dict[str, str] = field(default_factory=dict)
    """By address the action that has failed."""
    errors: list[Mapping[str, Any]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    """Lines that are no JSON."""
    lines: list[str] = field(default_factory=list)
    """For people."""

    @property
    def changes(self) -> dict[str, int]:
        """How many resources, by what was done."""
        return dict(Counter(change.op for change in self.resources(())))

    def unrecorded(self, known: Collection[str]) -> tuple[str, ...]:
        """Creates that are not in a state of these addresses: cut off, or not noted any more.

        A remote state is written now and then, and at the end: who is killed has not noted all.
        """
        begun = [at for at, action in self.under_way.items() if action == "create"]
        made = [at for at, change in self.done.items() if change.op in ("create", "replace")]
        return tuple(at for at in (*begun, *made) if at not in known)

    def unanswered(self, known: Collection[str]) -> tuple[ResourceChange, ...]:
        """What failed because the service's answer was lost, and may have been done all the same.

        A create that the state knows of (tainted) is destroyed by the next operation.
        """
        found = []
        for error in self.errors:
            address = str(error.get("address", ""))
            op = _OPEN.get(self.errored.get(address, ""), "")
            words = f"{error.get('summary', '')}\n{error.get('detail', '')}"
            if op and not (op == UNANSWERED and address in known) and lost_answer(words):
                found.append(ResourceChange(urn=address, op=op))
        return tuple(dict.fromkeys(found))

    def resources(self, unrecorded: Collection[str]) -> tuple[ResourceChange, ...]:
        """What was done, then what no state knows of."""
        doubtful = (ResourceChange(urn=at, op=IN_DOUBT) for at in unrecorded)
        taken = (
            ResourceChange(urn=at, op=IMPORTED, id=id_)
            for at, id_ in self.imported.items()
            if at not in self.done
        )
        # Last: what was imported and changed is known as imported.
        known = (
            replace(change, op=IMPORTED) if at in self.imported else change
            for at, change in self.done.items()
        )
        return (*taken, *known, *doubtful)

    @property
    def lock(self) -> Lock | None:
        """The lock that was in the way."""
        for error in self.errors:
            if error.get("summary") == _LOCKED:
                fields = _FIELD.findall(str(error.get("detail", "")))
                found = {name: value.strip() for name, value in fields}
                if "ID" in found:
                    return Lock(
                        id=found["ID"],
                        who=found.get("Who", ""),
                        created=_moment(found.get("Created", "")),
                    )
        return None

    def failure(self, command: str, code: int) -> Failure:
        """Why the command failed, by its first error."""
        if not self.errors:
            said = "\n".join(self.plain)
            words = bare(said.partition("Error: ")[2] or said)
            words = words or f"it ended with exit code {code}"
            return Failure(kind="program", message=f"terraform {command}: {words}")
        first = self.errors[0]
        summary, detail = str(first.get("summary", "")), str(first.get("detail", "")).strip()
        address = str(first.get("address", ""))
        where = (first.get("range") or {}).get("filename", "")
        line = ((first.get("range") or {}).get("start") or {}).get("line")
        at = f" ({where}, line {line})" if where and line else ""
        kind = "locked" if summary == _LOCKED else "provider" if address else "program"
        more = f" (and {len(self.errors) - 1} more errors)" if len(self.errors) > 1 else ""
        message = f"{summary}{at}{': ' if detail else ''}{detail}{more}"
        return Failure(kind=kind, message=message, urn=address)


def read(text: str, *, quiet: bool = False) -> TerraformLog:
    """The account of a command's output; `quiet` leaves out what could hold a value."""
    account = TerraformLog()
    for entry in _entries(text.splitlines(), account):
        kind = entry.get("type")
        if kind in _HOOKS:
            _hook(account, str(kind), entry.get("hook") or {})
        elif kind == "planned_change":
            change = entry.get("change") or {}
            account.planned[_address(change)] = str(change.get("action"))
            if isinstance(change.get("importing"), dict):
                account.imported[_address(change)] = str(change["importing"].get("id") or "")
        elif kind == "diagnostic":
            found = entry.get("diagnostic") or {}
            if found.get("severity") == "error":
                account.errors.append(found)
            if not quiet:
                detail = str(found.get("detail", "")).strip()
                account.lines += [str(entry.get("@message", "")), *filter(None, [detail])]
            continue
        if not (quiet and kind in _LOUD):
            account.lines.append(str(entry.get("@message", "")))
    if not quiet:
        account.lines += account.plain
    return account


def bare(text: str) -> str:
    """What Terraform prints for people, without its frames and colours, on one line."""
    lines = (line.strip() for line in _FRAME.sub("", text).splitlines())
    return " ".join(line for line in lines if line).removeprefix("Error: ")


def _entries(lines: Iterable[str], account: TerraformLog) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            yield entry
        elif line.strip():
            account.plain.append(line)


def _hook(account: TerraformLog, kind: str, hook: Mapping[str, Any]) -> None:
    address, action = _address(hook), str(hook.get("action"))
    if kind == "apply_start":
        account.under_way[address] = action
        return
    account.under_way.pop(address, None)
    if kind == "apply_errored":
        account.errored[address] = action
    if kind == "apply_complete" and action not in ("read", "noop"):
        before = account.done.get(address)
        replaced = before is not None and before.op == "delete" and action == "create"
        op = "replace" if replaced else action
        account.done[address] = ResourceChange(
            urn=address, op=op, id=str(hook.get("id_value") or "")
        )


def _address(part: Mapping[str, Any]) -> str:
    return str((part.get("resource") or {}).get("addr", ""))


def _moment(text: str) -> datetime | None:
    """`2026-01-31 14:25:01.123456789 +0000 UTC`, as Go prints it."""
    found = re.match(r"(\d+-\d+-\d+ \d+:\d+:\d+)\S* ([+-]\d{4})", text)
    if found is None:
        return None
    return datetime.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S %z")
