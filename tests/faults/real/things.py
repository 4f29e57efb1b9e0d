"""Slow resources of the real CLI whose truth is a file: made by a provider, gone when deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

BEGUN, THINGS = "begun", "things"


class FileProvider(ResourceProvider):
    """Notes that it begins, takes its time, then does it."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """One file in `things`."""
        _begin(props, "create")
        if props["fails"]:
            raise RuntimeError("the provider refused it")
        _file(props, THINGS, props["thing"]).touch()
        return CreateResult(f"id-{props['thing']}", props)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """The file is gone; that it was gone before is no error."""
        _begin(props, "delete")
        refuses = _file(props, "", f"{props['thing'].partition('::')[0]}.refuses")
        if refuses.exists():
            refuses.unlink()
            raise RuntimeError("the provider refused to delete it")
        _file(props, THINGS, props["thing"]).unlink(missing_ok=True)


def _begin(props: dict[str, Any], what: str) -> None:
    _file(props, BEGUN, f"{what}-{props['thing']}").touch()
    time.sleep(float(props["delay"]))


def _file(props: dict[str, Any], folder: str, name: str) -> Path:
    return Path(props["world"]) / folder / name


class Thing(Resource):
    """Known as `project::name`."""

    def __init__(
        self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        thing = f"{pulumi.get_project()}::{name}"
        super().__init__(FileProvider(), name, {**props, "thing": thing}, opts)


def program_of(entry: dict[str, Any], delay: float) -> Callable[[], None]:
    """The program of a plan's project; its first failure fails, as the plan says."""

    def program() -> None:
        world = os.environ["STUB_WORLD"]
        counter = Path(world) / f"{pulumi.get_project()}.up.count"
        with counter.open("a") as file:
            file.write(".")
            nth = file.tell()
        fails = [f["after"] for f in entry["faults"] if f["op"] == "up" and f["nth"] == nth]
        last: list[pulumi.Resource] = []
        for index, name in enumerate(entry["resources"]):
            props = {"world": world, "delay": delay, "fails": index in fails}
            ignored = ["fails", "delay"]
            options = pulumi.ResourceOptions(depends_on=last, ignore_changes=ignored)
            last = [Thing(name, props, options)]
        if any(after >= len(entry["resources"]) for after in fails):
            raise RuntimeError("the program failed")
        for key, value in entry["outputs"].items():
            pulumi.export(key, value)

    return program
