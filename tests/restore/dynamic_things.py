"""A dynamic provider whose world is a directory: a file for each resource, its inputs in it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

_OWN = ("made", "__provider")


def _write(world: str, identity: str, props: dict[str, Any]) -> None:
    held = {key: value for key, value in props.items() if key not in _OWN}
    Path(world, identity).write_text(json.dumps(held, sort_keys=True))


class ThingProvider(ResourceProvider):
    """Fails where `fail` says so; `fixed` changes by replacement alone; ids are never the same."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the file."""
        if props.get("fail"):
            raise RuntimeError(f"made to fail: {props['fail']}")
        identity = f"{props['label']}-{uuid.uuid4().hex[:12]}"
        _write(props["world"], identity, props)
        return CreateResult(identity, {**props, "made": f"address-of-{identity}"})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """What differs, but for what `create` added."""
        keys = {*olds, *news} - {*_OWN}
        changed = [key for key in keys if olds.get(key) != news.get(key)]
        replaces = [key for key in changed if key == "fixed"]
        first = bool(news.get("delete_first"))
        return DiffResult(
            changes=bool(changed), replaces=replaces, stables=[], delete_before_replace=first
        )

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Write it anew."""
        if news.get("fail"):
            raise RuntimeError(f"made to fail: {news['fail']}")
        _write(news["world"], _id, news)
        return UpdateResult({**news, "made": olds["made"]})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the file; once it is gone it may be asked again."""
        Path(props["world"], _id).unlink(missing_ok=True)

    def read(self, id_: str, props: dict[str, Any]) -> Any:
        """What the file holds."""
        from pulumi.dynamic import ReadResult

        held = json.loads(Path(props["world"], id_).read_text())
        return ReadResult(id_, {**held, "made": f"address-of-{id_}"})


class Thing(Resource):
    """`made` is only known once it is there."""

    made: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        world: Path | str,
        opts: pulumi.ResourceOptions | None = None,
        **props: Any,
    ) -> None:
        given = {"label": name, "world": str(world), "made": None, **props}
        super().__init__(ThingProvider(), name, given, opts)


class Group(pulumi.ComponentResource):
    """A component of some things."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, None, opts)


def world_of(directory: Path) -> dict[str, Any]:
    """What is really there: by id, the inputs."""
    return {path.name: json.loads(path.read_text()) for path in sorted(directory.iterdir())}
