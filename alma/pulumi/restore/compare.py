"""Whether a stack is again what a snapshot holds: compared entry by entry. Imports no pulumi."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field

from alma.core.operation import Difference
from alma.pulumi.deployment import (
    DEFAULTS,
    PROVIDER_TYPE,
    Entry,
    entries_of,
    is_default_provider,
    is_registered,
    is_root,
    is_secret,
    live,
    name_of,
    opened,
    provider_of,
    without_defaults,
)
from alma.pulumi.restore.substitution import (
    Substitutions,
    find_substitutions,
    merge,
    substitute,
    substituted_inputs,
)

_APART: Final = frozenset(
    {
        *("urn", "id", "delete", "inputs", "outputs", "provider", "dependencies"),
        *("propertyDependencies", "initErrors", "customTimeouts", "pendingReplacement"),
        *("importID", "taint"),
    }
)
"""Fields of an entry (`apitype.ResourceV3`) that are compared each in its own way."""
_PASSED_OVER: Final = frozenset(
    {
        *("created", "modified", "sourcePosition", "stackTrace"),  # when and where, not what
        "aliases",  # former names: the program says them again
        *("refreshBeforeUpdate", "viewOf", "snippetID"),  # not a program's, the engine's own
    }
)
"""Fields that say nothing of what a resource is. All others must be as before, those of engines
that are newer than this as well."""
_OF_THE_STACK: Final = ("snippets", "extensions")
"""Fields of a deployment (`apitype.DeploymentV3`), besides its entries and how it is written."""
_PLUGIN: Final = ("version", "__internal")
"""Inputs of a provider that name its plugin: the engine adds them where the program has none."""


class Comparison(Struct, kw_only=True):
    """`recreated` is there again with another id; `different` is not as it was, and says why."""

    recreated: list[Difference] = field(default_factory=list)
    different: list[Difference] = field(default_factory=list)


def compare(
    wanted: Mapping[str, Any],
    after: Mapping[str, Any],
    said: Mapping[str, str],
    gone: frozenset[str] = frozenset(),
) -> Comparison:
    """Two opened deployments; `said` is what the engine said of single resources, by URN.

    What was let go by `retainOnDelete` and is made again is there twice, unless it is `gone`.
    """
    found = Comparison()
    old = {urn: entry for urn, entry in live(wanted).items() if is_registered(entry)}
    now = live(after)
    known: dict[str, Substitutions] = {
        urn: find_substitutions(entry, now[urn].get("id", ""), now[urn].get("outputs"))
        for urn, entry in old.items()
        if urn in now and not is_root(entry)
    }
    for urn, entry in old.items():
        there = now.get(urn)
        if there is None or there.get("pendingReplacement"):
            found.different.append(_difference(entry, "it is not there again", said))
            continue
        fields = [*_differences(entry, there, known)]
        if fields:
            what = f"not as before: {', '.join(fields)}"
            found.different.append(_difference(there, what, said))
        own = not entry["type"].startswith(PROVIDER_TYPE)
        if own and entry.get("id", "") != there.get("id", ""):
            kept = entry.get("retainOnDelete") and not entry.get("external")
            if kept and urn not in gone:
                what = "made again beside this one, which was let go and may still exist"
                found.different.append(_difference(entry, what, said))
            found.recreated.append(_difference(there, f"made again; it was {entry.get('id')}", {}))
    found.different.extend(_extras(old, wanted, after, said))
    found.different.extend(_engines_own(wanted, after))
    return found


def _engines_own(wanted: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """What no program registers: views, snippets and what they make, extensions."""
    now = live(after)
    for urn, entry in live(wanted).items():
        if not is_registered(entry) and not is_default_provider(entry) and urn not in now:
            yield _difference(entry, "it is not there again", {})
    root = next((entry for entry in entries_of(wanted) if is_root(entry)), None)
    for name in _OF_THE_STACK:
        if root is not None and (wanted.get(name) or None) != (after.get(name) or None):
            yield _difference(root, f"not as before: the {name} of the stack", {})


def _differences(entry: Entry, there: Entry, known: Mapping[str, Substitutions]) -> Iterator[str]:
    yield from _options(entry, there)
    if is_root(entry) or not entry.get("custom"):
        before, now = (
            substitute(entry.get("outputs") or {}, merge(known, known)),
            there.get("outputs"),
        )
        yield from _keys("output", before, now or {})
    before, now = substituted_inputs(entry, known), there.get("inputs") or {}
    if entry["type"].startswith(PROVIDER_TYPE) and "version" not in before:
        now = {key: value for key, value in now.items() if key not in _PLUGIN}
        before = {key: value for key, value in before.items() if key not in _PLUGIN}
    yield from _keys("input", before, now)
    if entry.get("id") == there.get("id"):
        yield from _of_the_same(entry, there, before, now)


def _options(entry: Entry, there: Entry) -> Iterator[str]:
    for name in sorted({*entry, *there} - _APART - _PASSED_OVER):
        if (entry.get(name) or None) != (there.get(name) or None):
            yield name
    if _sets(entry) != _sets(there):
        yield "dependencies"
    if not _same_provider(entry, there):
        yield "provider"
    if entry.get("initErrors") != there.get("initErrors") and there.get("initErrors"):
        yield "it was not initialized"
    if _timeouts(entry) != _timeouts(there):
        yield "customTimeouts"


def _of_the_same(
    entry: Entry, there: Entry, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[str]:
    """What only a resource that was not made again can have lost."""
    yield from _made_up(before, now)
    yield from _lost(entry, there)
    for name in ("importID", "taint"):
        if entry.get(name) and entry[name] != there.get(name):
            yield name


def _lost(entry: Entry, there: Entry) -> Iterator[str]:
    """Outputs that a provider told once: an update by one that tells nothing drops them."""
    if entry["type"].startswith(PROVIDER_TYPE) or entry.get("external"):
        return
    now = there.get("outputs") or {}
    for key, value in sorted((entry.get("outputs") or {}).items()):
        if value is not None and now.get(key) is None:
            yield f"output {key} (it is lost)"
        elif is_secret(value) and not is_secret(now[key]):
            yield f"output {key} (it is no secret any more)"


def _made_up(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Values that no program gave, lost to a given one: a provider that draws lots draws anew."""
    marked = before.get(DEFAULTS)
    for key in sorted(marked) if isinstance(marked, list) else []:
        if key in before and key in now and opened(before[key]) != opened(now[key]):
            yield f"input {key} (made up anew by its provider)"


def _same_provider(entry: Entry, there: Entry) -> bool:
    """Whether it is the same: by URN, for the id is the engine's own, and means nothing.

    A default provider without a version or a source may get what the engine chooses; it is in
    its name.
    """
    before, now = provider_of(entry)[0], provider_of(there)[0]
    return before == now or (
        bool(before and now)
        and name_of(before).startswith("default")
        and name_of(now).startswith(f"{name_of(before)}_")
        and before.split("::")[2] == now.split("::")[2]
    )


def _keys(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    left, right = opened(without_defaults(before)), opened(without_defaults(now))
    for key in sorted({*left, *right}):
        if left.get(key) != right.get(key):
            yield f"{what} {key}"


def _sets(entry: Entry) -> Any:
    tracked = (entry.get("propertyDependencies") or {}).items()
    by_property = {key: set(urns) for key, urns in tracked if urns}
    return set(entry.get("dependencies") or []), by_property


def _timeouts(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in (entry.get("customTimeouts") or {}).items() if value}


def _extras(
    old: Mapping[str, Entry],
    wanted: Mapping[str, Any],
    after: Mapping[str, Any],
    said: Mapping[str, str],
) -> Iterator[Difference]:
    waited = {(entry["urn"], entry.get("id")) for entry in entries_of(wanted)}
    for entry in entries_of(after):
        if (entry["urn"], entry.get("id")) in waited or entry["urn"] in old:
            if entry.get("delete") and entry["urn"] in old:
                yield _difference(entry, "replaced, and still to be deleted", said)
            continue
        if entry.get("delete"):
            yield _difference(entry, "still to be deleted", said)
        elif is_registered(entry) and not entry["type"].startswith(PROVIDER_TYPE):
            protected = "made by this run, and protected against its deletion"
            what = protected if entry.get("protect") else "made by this run, and still there"
            yield _difference(entry, what, said)


def _difference(entry: Entry, what: str, said: Mapping[str, str]) -> Difference:
    words = said.get(entry["urn"], "")
    reason = f"{what} ({words})" if words else what
    return Difference(urn=entry["urn"], id=entry.get("id", ""), reason=reason)
