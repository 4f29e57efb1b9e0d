"""The program that every arm brings up: one resource, and an output made of an input."""

from __future__ import annotations

import pulumi


def stage() -> None:
    upstream = pulumi.Config().get("upstream") or "start"
    part = pulumi.Stash("part", input=f"{upstream}/{pulumi.get_project()}")
    pulumi.export("value", part.output)


def broken() -> None:
    stage()
    raise RuntimeError("it fails on purpose")
