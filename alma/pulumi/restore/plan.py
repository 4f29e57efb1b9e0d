"""What is registered again to bring a stack back to a snapshot: planned here, played in a worker.

Imports no pulumi. A restore is an `up` by the real engine whose program registers the entries of
the old deployment again. What only the update made is not registered, so the engine deletes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alma.core.secret import Secret
from alma.pulumi.deployment import (
    PROVIDER_TYPE,
    Entry,
    is_default_provider,
    is_registered,
    live,
    provider_of,
    secret_values,
)
from alma.pulumi.restore.matching import extras_to_keep, ordered, referring, renamed

_INTERNAL = "__internal"
"""The input of a provider that says where its plugin is from (`internalKey` in the engine)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RestorePlan:
    """Opened entries in the order in which they are registered. Holds secrets: it has no repr.

    `plugins` are the inputs of default providers by URN. `aliases`: by URN, the one under which
    the resource is found now. `imported`: by URN, the id by which it was imported before, as far
    as it is still that resource. `eased`: entries that are registered without `ignoreChanges`
    and `replaceOnChanges`, so that their old inputs reach them, and in place.
    """

    entries: tuple[Entry, ...]
    plugins: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    imported: Mapping[str, str] = field(default_factory=dict)
    eased: frozenset[str] = frozenset()
    unmade: Mapping[str, str] = field(default_factory=dict)
    """By URN, why an entry cannot be registered at all."""
    secrets: tuple[Secret, ...] = ()
    """The contents of all secrets in it, to be kept out of logs and messages."""

    @property
    def strict(self) -> RestorePlan:
        """The same with every option as it was: what is left to do after the eased one."""
        return replace(self, eased=frozenset())


def plan(
    wanted: Mapping[str, Any],
    current: Mapping[str, Any],
    stale: Mapping[str, str],
    refused: Mapping[str, str],
) -> RestorePlan:
    """The replay that brings a stack from `current` to `wanted`; both are opened deployments.

    What the update made and protected cannot be deleted by the engine, which would stop there:
    it is registered as it is, so that all else is put back, and named afterwards. So is what is
    `stale`: it cannot be made as it was. What was `refused` is not registered again.
    """
    old = {urn: entry for urn, entry in live(wanted).items() if is_registered(entry)}
    now = live(current)
    aliases = renamed(old, {urn: entry for urn, entry in now.items() if urn not in old}, now)
    left = {urn for urn in stale if urn in now}
    extras = extras_to_keep(old, now, aliases, left)
    entries = [
        *(referring(now[urn], {}) if urn in left else entry for urn, entry in old.items()),
        *extras,
    ]
    return RestorePlan(
        entries=tuple(ordered(entries)),
        unmade={**{urn: why for urn, why in stale.items() if urn not in left}, **refused},
        plugins={
            entry["urn"]: entry.get("inputs") or {}
            for entry in (*live(current).values(), *live(wanted).values())
            if is_default_provider(entry)
        },
        aliases=aliases,
        imported={
            urn: entry["importID"]
            for urn, entry in old.items()
            if entry.get("importID") and _is_still(entry, now.get(urn))
        },
        eased=frozenset(urn for urn, entry in old.items() if _is_eased(entry, now.get(urn))),
        secrets=tuple(Secret(value) for one in (wanted, current) for value in secret_values(one)),
    )


def provider_config(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The stack config that configured the default providers, a `Secret` where it was one."""
    config: dict[str, Any] = {}
    for entry in live(wanted).values():
        if not is_default_provider(entry):
            continue
        package = entry["type"].removeprefix(PROVIDER_TYPE)
        for key, value in (entry.get("inputs") or {}).items():
            if key not in ("version", "pluginDownloadURL", _INTERNAL):
                secret = isinstance(value, Mapping) and "plaintext" in value
                config[f"{package}:{key}"] = Secret(_text(value)) if secret else value
    return config


def internal(plugin: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a provider's plugin is from: `pluginDownloadURL`, `name`, `parameterization`, ..."""
    found: Mapping[str, Any] = plugin.get(_INTERNAL, plugin)  # Old engines had it all in one.
    return found


def default_plugin(entry: Entry, replay: RestorePlan) -> Mapping[str, Any] | None:
    """The inputs of the entry's provider when that is a default one, which the engine chooses."""
    return replay.plugins.get(provider_of(entry)[0])


def _text(value: Mapping[str, Any]) -> Any:
    return json.loads(value["plaintext"])


def _is_still(entry: Entry, now: Entry | None) -> bool:
    if now is None or now.get("external"):
        return False
    return bool((now.get("importID") or now.get("id")) == entry["importID"])


def _is_eased(entry: Entry, now: Entry | None) -> bool:
    options = entry.get("ignoreChanges") or entry.get("replaceOnChanges")
    return bool(options) and now is not None and now.get("inputs") != entry.get("inputs")
