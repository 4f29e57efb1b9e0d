"""A Terraform state, as `state pull` prints it: what it holds, and which state it is.

The form is version 4 (hashicorp/terraform `internal/states/statefile/version4.go`), which
OpenTofu writes as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psutil

from alma.core.events import Process
from alma.errors import BackendError
from alma.steps.terraform.output import Lock
from alma.system import processes as live
from alma.system.programs import named


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One managed resource: its address (`module.a.type.name[0]`) and its provider's id."""

    address: str
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class State:
    """What a state holds. `lineage` is empty when there is none; `serial` counts its changes."""

    lineage: str = ""
    serial: int = 0
    instances: tuple[Instance, ...] = ()

    @property
    def addresses(self) -> frozenset[str]:
        """Of all that it holds."""
        return frozenset(one.address for one in self.instances)

    @property
    def fingerprint(self) -> str:
        """Another one after each change; empty when there is no state."""
        return f"{self.lineage}:{self.serial}" if self.lineage else ""


def parse(text: str) -> State:
    """The state; BackendError for what is none."""
    if not text.strip():
        return State()
    try:
        document = json.loads(text)
        return State(
            lineage=document.get("lineage", ""),
            serial=int(document.get("serial", 0)),
            instances=tuple(_instances(document.get("resources") or [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackendError(f"The Terraform state cannot be read: {error!r}.") from error


def _instances(resources: list[Mapping[str, Any]]) -> Iterator[Instance]:
    for resource in resources:
        if resource["mode"] != "managed":
            continue
        module = f"{resource['module']}." if resource.get("module") else ""
        name = f"{module}{resource['type']}.{resource['name']}"
        for instance in resource.get("instances") or []:
            key = instance.get("index_key")
            index = "" if key is None else f"[{json.dumps(key)}]"
            deposed = f" (deposed {instance['deposed']})" if instance.get("deposed") else ""
            id_ = (instance.get("attributes") or {}).get("id")
            yield Instance(address=f"{name}{index}{deposed}", id="" if id_ is None else str(id_))


_CLOCK: Final = 2.0
"""Seconds by which a start time may be off (see `processes`), and the lock's own second."""


_SOON: Final = 60.0
"""Seconds after its start within which a Terraform takes its lock."""


class CutOff(NamedTuple):
    """What ran Terraform in operations that nobody saw end, and hosts that are known to be gone."""

    processes: Sequence[Process]
    gone: frozenset[str] = frozenset()


def no_cut_off() -> CutOff:
    """Where no journal tells of any."""
    return CutOff(())


def is_of_gone(lock: Lock, known: CutOff) -> bool:
    """Whether a Terraform took it that was cut off on a host that is gone, by that host's clock."""
    if lock.created is None:
        return False
    created, machine = lock.created.timestamp(), lock.who.rpartition("@")[2]
    return any(
        one.host in known.gone
        and one.machine == machine
        and one.started - _CLOCK <= created <= one.started + _SOON
        for one in known.processes
    )


def is_proven_dead(lock: Lock, before: float, cut_off: Iterable[Process]) -> bool:
    """Whether nobody can hold it: made by this user on this host before any Terraform that lives.

    A lock names no pid, but its holder must be older than the lock. Hosts and containers may be of
    one name, and what lives in another one is not seen here: so it must be of a Terraform that ran
    here and was `cut_off`, by its time. One that is not older than `before` (seconds, epoch) is no
    other's: the `http` backend shows in place of the holder's lock the one that was asked for.
    """
    if lock.created is None or lock.who != f"{live.user_name()}@{live.HOST}":
        return False
    created = lock.created.timestamp()
    if created > before - _CLOCK or not any(
        one.host == live.PLACE and one.started - _CLOCK <= created <= one.started + _SOON
        for one in cut_off
    ):
        return False
    is_terraform = named(("terraform", "tofu"))
    for process in psutil.process_iter():
        try:
            older = process.create_time() <= created + _CLOCK
            if older and is_terraform(process) and process.status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.Error:
            continue
    return True
