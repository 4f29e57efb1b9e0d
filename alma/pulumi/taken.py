"""What an update has taken over: a create that found its thing there, and made it its own.

S3 in us-east-1, SNS, SQS, a server-side apply of Kubernetes and every PUT answer "made" for what
was there. The state then shows it as this stack's, and a destroy would take it from whoever had it.
Where the id of it is known from elsewhere, or the thing itself says how old it is, that shows.
Imports no pulumi.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from alma.pulumi.deployment import (
    CODE,
    DEFAULTS,
    PROVIDER_TYPE,
    Entry,
    entries_of,
    is_secret,
    provider_of,
)

_UNREAL: Final = frozenset({"random", "tls", "time", "null", "std", "command", "archive"})
"""Packages whose resources are nowhere but in the state: their ids may well be the same."""
_DYNAMIC: Final = ("pulumi-python:", "pulumi-nodejs:")
"""One type for the resources of all dynamic providers, so it tells little."""
_ENDPOINTS: Final = frozenset({"endpoints"})
_OF_THE_PLUGIN: Final = frozenset({"version", "pluginDownloadURL", "__internal", DEFAULTS})


class Held(Struct, frozen=True, kw_only=True):
    """A deployment that shows what was there before, and whose it is, in words."""

    whose: str
    deployment: Mapping[str, Any]


def digest_of(identity: str) -> str:
    """By which an id is known again, whatever it holds: the journal masks texts."""
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()


def made_since(document: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The entries of things that are the stack's own now, and were not before."""
    known = {(entry["type"], entry.get("id")) for entry in entries_of(before)}
    return tuple(
        entry
        for entry in entries_of(document)
        if _is_thing(entry) and (entry["type"], entry["id"]) not in known
    )


def taken_over(
    made: Iterable[Entry],
    deployment: Mapping[str, Any],
    existed: Sequence[str],
    others: Iterable[Held],
) -> dict[tuple[str, str], str]:
    """By URN and id those that were there before, each with what shows it.

    `existed` are digests of the ids and ARNs that were seen before the first create.
    """
    seen = frozenset(existed)
    places = _places(deployment)
    known = [(held.whose, _by_id(held.deployment), _places(held.deployment)) for held in others]
    found: dict[tuple[str, str], str] = {}
    for entry in made:
        why = ""
        if entry.get("importID"):
            why = "its program imports it"
        elif seen & {digest_of(name) for name in _names(entry)}:
            why = "existed= has seen it"
        elif _is_older(entry):
            why = "its cluster had it before"
        for whose, things, where in () if why else known:
            same = things.get((entry["type"], entry["id"]), ())
            if any(_is_same(entry, places, other, where) for other in same):
                why = f"{whose} holds it"
                break
        if why:
            found[entry["urn"], entry["id"]] = why
    return found


def _is_older(entry: Entry) -> bool:
    """Whether an object of Kubernetes was there when this stack applied it first.

    Both times are the API server's, to the second. Of an object that an update has been applied to
    as well, the first time is not known. A `...Patch` takes back what it applied, and deletes
    nothing.
    """
    kind, outputs = str(entry["type"]), entry.get("outputs") or {}
    about, manager = outputs.get("metadata"), outputs.get("__fieldManager")
    if not (kind.startswith("kubernetes:") and isinstance(about, Mapping) and manager):
        return False
    if kind.endswith("Patch") or entry.get("created") != entry.get("modified"):
        return False
    applied = [
        str(one.get("time"))
        for one in about.get("managedFields") or ()
        if one.get("manager") == manager and one.get("operation") == "Apply"
    ]
    made = about.get("creationTimestamp")
    return bool(isinstance(made, str) and applied and min(applied) > made)


def _is_thing(entry: Entry) -> bool:
    """Whether it stands for something outside that a destroy would delete."""
    kind = str(entry["type"])
    return bool(
        entry.get("custom")
        and entry.get("id")
        and not entry.get("external")
        and not kind.startswith((PROVIDER_TYPE, "pulumi:pulumi:"))
        and kind.partition(":")[0] not in _UNREAL
    )


def _names(entry: Entry) -> Iterator[str]:
    yield entry["id"]
    arn = (entry.get("outputs") or {}).get("arn")
    if isinstance(arn, str) and arn:
        yield arn


def _by_id(deployment: Mapping[str, Any]) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries_of(deployment):
        if _is_thing(entry):
            found.setdefault((entry["type"], entry["id"]), []).append(entry)
    return found


def _places(deployment: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By URN what each provider was told: where it makes things."""
    return {
        entry["urn"]: {
            key: value
            for key, value in (entry.get("inputs") or {}).items()
            if key not in _OF_THE_PLUGIN and not is_secret(value)
        }
        for entry in entries_of(deployment)
        if entry["type"].startswith(PROVIDER_TYPE)
    }


def _is_same(
    one: Entry,
    places: Mapping[str, Mapping[str, Any]],
    other: Entry,
    elsewhere: Mapping[str, Mapping[str, Any]],
) -> bool:
    """Whether two entries of one type and id are one thing, as far as they tell.

    An ARN or a uid tells it for good, in one cloud. An id alone is often only unique in its
    region, cluster or host: what their providers were told of these must not differ. Nor may
    anything that two dynamic resources were made of.
    """
    mine, theirs = one.get("outputs") or {}, other.get("outputs") or {}
    here, there = (
        where.get(provider_of(entry)[0], {}) for where, entry in ((places, one), (elsewhere, other))
    )
    if _differ(here, there, only=_ENDPOINTS):
        return False  # two LocalStacks give the same ARNs
    for tell in (_arn, _uid):
        if tell(mine) and tell(theirs):
            return bool(tell(mine) == tell(theirs))
    if one["type"].startswith(_DYNAMIC):
        return not _differ(one.get("inputs") or {}, other.get("inputs") or {})
    return not _differ(here, there)


def _arn(outputs: Mapping[str, Any]) -> Any:
    return outputs.get("arn")


def _uid(outputs: Mapping[str, Any]) -> Any:
    about = outputs.get("metadata")
    return about.get("uid") if isinstance(about, Mapping) else None


def _differ(
    one: Mapping[str, Any], other: Mapping[str, Any], only: frozenset[str] | None = None
) -> bool:
    """Whether any plain value that both have is another one."""
    both = one.keys() & other.keys() - {CODE} if only is None else one.keys() & other.keys() & only
    return any(
        one[key] != other[key] for key in both if not (is_secret(one[key]) or is_secret(other[key]))
    )
