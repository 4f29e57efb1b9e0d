"""What a refresh says that is not as the state has it: by resource and property.

Its events have both states of a resource. Which properties count is the provider's to say, where
it says so; where it does not, all that differ are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from alma.core.drift import MASK, PropertyDrift, ResourceDrift
from alma.pulumi.checkpoint import ROOT_TYPE, SECRET_SIGNATURE, SIGNATURE

if TYPE_CHECKING:
    from pulumi.automation import StepEventMetadata, StepEventStateMetadata

_DYNAMIC: Final = "pulumi-python:dynamic"
"""Types whose provider need not have a `diff`: then the engine compares inputs, which no read
changes, and calls everything the same."""
_INNER: Final = frozenset({"__provider", "__internal"})
"""Properties that are the SDK's own."""


class Looked:
    """Collects what is told of each resource: who was `asked`, and what has `drifted`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.drifted: list[ResourceDrift] = []

    def note(self, told: StepEventMetadata) -> None:
        """One resource has been looked at."""
        self.asked.append(told.urn)
        op, old, new = told.op.value, told.old, told.new
        if told.type == ROOT_TYPE or op not in ("update", "delete", "same"):
            return
        if op == "delete" or old is None or new is None:
            if op != "same":
                self.drifted.append(_resource(told, "delete", ()))
            return
        found = tuple(_properties(told, old, new))
        sick = "; ".join(new.init_errors or ())
        if op == "update" or sick or (found and told.type.startswith(_DYNAMIC)):
            why = f"it is not healthy: {sick}" if sick else ""
            stays = op == "same" and not sick
            if stays:
                why = "its provider has no diff: an up would take that for what is to be"
            elif not found and not sick:
                why = "what differs is a secret, or is not told by its provider"
            one = _resource(told, "update", found, why)
            self.drifted.append(replace(one, stays=stays))


def _resource(
    told: StepEventMetadata, op: str, properties: tuple[PropertyDrift, ...], why: str = ""
) -> ResourceDrift:
    identity = (told.old.id if told.old else "") or (told.new.id if told.new else "")
    return ResourceDrift(
        urn=told.urn, op=op, id=identity or "", type=told.type, properties=properties, why=why
    )


def _properties(
    told: StepEventMetadata, old: StepEventStateMetadata, new: StepEventStateMetadata
) -> Iterator[PropertyDrift]:
    named = [key for key in (told.detailed_diff or {}) if _top(key) not in _INNER]
    named = named or [key for key in (told.diffs or ()) if key not in _INNER]
    found: dict[str, PropertyDrift] = {}
    if old.id != new.id:
        found["id"] = PropertyDrift(path="id", was=old.id, now=new.id)
    for before, now in ((old.inputs, new.inputs), (old.outputs, new.outputs)):
        for one in _compare(_shown(before or {}), _shown(now or {}), ""):
            if _top(one.path) not in _INNER and (not named or _is_named(one.path, named)):
                found.setdefault(one.path, one)
    for path in named:
        if not any(_is_named(one, [path]) for one in found):
            # The provider says that it differs, and shows no value that does: a secret's is masked.
            values = _at(_shown(old.outputs or {}), path), _at(_shown(new.outputs or {}), path)
            secret = MASK if MASK in map(str, values) else UNSET
            found[path] = PropertyDrift(path=path, was=secret, now=secret)
    yield from found.values()


def _compare(was: Any, now: Any, path: str) -> Iterator[PropertyDrift]:
    """Where both differ. What either side knows to be a secret is shown by neither."""
    if was == now and type(was) is type(now):
        return
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*was, *now)):
            inner = f"{path}.{key}" if path else str(key)
            yield from _compare(was.get(key, UNSET), now.get(key, UNSET), inner)
    elif isinstance(was, list) and isinstance(now, list):
        for index in range(max(len(was), len(now))):
            one, other = (part[index] if index < len(part) else UNSET for part in (was, now))
            yield from _compare(one, other, f"{path}[{index}]")
    elif MASK in (was, now):
        yield PropertyDrift(path=path, was=MASK, now=MASK)
    else:
        yield PropertyDrift(path=path, was=was, now=now)


def _shown(value: Any) -> Any:
    """Without the envelope that a secret is sealed in; its content is masked already."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            return MASK
        return {str(key): _shown(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(entry) for entry in value]
    return value


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _is_named(path: str, named: list[str]) -> bool:
    """Whether the path is one of these, or within one, or around one."""
    flat = _plain(path)
    return any(
        one == flat or flat.startswith(f"{one}.") or one.startswith(f"{flat}.")
        for one in map(_plain, named)
    )


def _plain(path: str) -> str:
    """`tags["a"]` and `list[0]` as `tags.a` and `list.0`."""
    return path.replace('["', ".").replace('"]', "").replace("[", ".").replace("]", "")


def _at(value: Any, path: str) -> Any:
    for part in _plain(path).split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return UNSET
    return value
