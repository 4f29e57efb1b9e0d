"""Programs that the engine's tests bring up; sent by value, as those of a user's script are."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class ThingProvider(ResourceProvider):
    """Creates nothing but a note; can wait for a file, and can fail, at either end."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Note the creation; wait for `gate` to exist first, if one is given."""
        _note("created")
        _pass("begun", props)
        if props.get("fail"):
            raise RuntimeError(props["fail"])
        return CreateResult(f"id-{props['name']}", {**props, "made": True})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Fail if told so."""
        _note("deleted")
        if props.get("keep"):
            raise RuntimeError("cannot be deleted: " + props["keep"])


class Thing(Resource):
    """Has a name, and what its provider is to do with it."""

    def __init__(
        self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(ThingProvider(), name, {"name": name, "made": None, **props}, opts)


def _note(word: str) -> None:
    if path := os.environ.get("NOTES"):
        with Path(path).open("a") as notes:
            notes.write(f"{word}\n")


def _pass(word: str, props: dict[str, Any]) -> None:
    gate = props.get("gate")
    if not gate:
        return
    Path(f"{gate}.{word}").touch()
    deadline = time.monotonic() + 300
    while not Path(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def thing(name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> Thing:
    """A resource of that name."""
    return Thing(name, props, opts)


def nothing() -> None:
    """A program without resources."""


def one() -> None:
    """One resource and its id."""
    pulumi.export("id", thing("a").id)


def two() -> None:
    """One more."""
    pulumi.export("id", thing("a").id)
    pulumi.export("second", thing("b").id)


def outputs() -> None:
    """Secrets at the top, in an object and in a list."""
    pulumi.export("plain", {"list": [1, 2.5, True, None, "x"]})
    pulumi.export("top", pulumi.Output.secret("CANARY-top"))
    pulumi.export("object", {"inner": pulumi.Output.secret("CANARY-inner"), "open": 1})
    pulumi.export("list", [pulumi.Output.secret({"deep": "CANARY-deep"}), "open"])


def typed() -> None:
    """Reads config of every type."""
    config = pulumi.Config()
    pulumi.export("port", config.require_int("port"))
    pulumi.export("ratio", config.require_float("ratio"))
    pulumi.export("flag", config.require_bool("flag"))
    pulumi.export("names", config.require_object("names"))
    pulumi.export("tree", config.require_object("tree"))
    pulumi.export("text", config.require("text"))
    pulumi.export("number_like", config.require("number_like"))
    pulumi.export("other", pulumi.Config("other").require("key"))


def secretive() -> None:
    """Uses a secret in every way that could leak it."""
    config = pulumi.Config()
    sys.stdout.write(f"printed: {config.require('token')}\n")
    pulumi.export("sealed", config.require_secret("token"))
    pulumi.export("open", "token=" + config.require("token"))
    pulumi.export("parts", config.require_secret_object("parts"))
    if pulumi.Config("other").get("hidden"):
        pulumi.export("other", pulumi.Config("other").require_secret("hidden"))
    thing("a", note=config.require_secret("token"))


def blabs() -> None:
    """Fails with a secret in its message."""
    thing("a")
    raise ValueError("cannot log in with " + pulumi.Config().require("token"))


def broken() -> None:
    """Fails after its first resource."""
    thing("a")
    raise ValueError("the program is broken")


def broken_later() -> None:
    """Fails in an apply."""

    def fail(_: str) -> str:
        raise KeyError("not in there")

    thing("a").id.apply(fail)


async def broken_and_untidy() -> None:
    """Fails, and leaves a task that fails as it is cancelled, as the SDK's own may."""

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("it was cut off")

    task = asyncio.create_task(left())
    await asyncio.sleep(0)
    raise ValueError(f"the program is broken, and {task.done()=}")


def exits() -> None:
    """Calls sys.exit."""
    sys.exit(3)


def interrupts_itself() -> None:
    """Raises what is no Exception."""
    raise KeyboardInterrupt


def vanishes() -> None:
    """Ends its process."""
    os._exit(7)


def refused() -> None:
    """The provider refuses the second of two resources."""
    first = thing("a")
    thing("b", fail="quota exceeded", opts=pulumi.ResourceOptions(depends_on=[first]))


def many(count: int) -> Callable[[], None]:
    """That many resources."""

    def program() -> None:
        for index in range(count):
            thing(f"t{index}")

    return program


def waits(gate: str) -> Callable[[], None]:
    """A resource whose creation waits for a file, and one after it."""

    def program() -> None:
        first = thing("slow", gate=gate)
        thing("after", opts=pulumi.ResourceOptions(depends_on=[first]))

    return program


def sticky() -> None:
    """A resource that cannot be deleted."""
    thing("a", keep="somebody uses it")


def infinite() -> None:
    """An output that JSON cannot hold."""
    pulumi.export("x", float("inf"))


def large() -> None:
    """An output of a megabyte."""
    pulumi.export("x", "x" * (1 << 20))
