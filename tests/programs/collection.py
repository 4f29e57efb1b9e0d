"""Programs as people write them, each as it was and as it is after a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi import Alias, Output, ResourceOptions

from alma import Saga
from tests.restore.things import Group, Other, Provider, Sub, Thing

Adds = Callable[[Saga, Path], Any]
"""Adds the steps of a program to a saga; the path is the working directory."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """`fails`: what is brought up by `after` does not come up.

    `named`: words of the reason that an undo which cannot be clean must give, by mode.
    """

    name: str
    before: Adds
    after: Adds
    fails: bool = False
    named: tuple[tuple[str, str], ...] = ()
    takes: tuple[str, ...] = ()
    """What was there before and that a destroy of the stack takes along."""


def _stack(program: Callable[[], Any]) -> Adds:
    return lambda saga, _root: saga.add_stack("it", program=program)


def _yaml(text: str, name: str = "it") -> Adds:
    def add(saga: Saga, root: Path) -> Any:
        work_dir = root / name
        work_dir.mkdir(exist_ok=True)
        (work_dir / "Pulumi.yaml").write_text(f"name: {name}\nruntime: yaml\n{text}")
        return saga.add_stack(name, work_dir=work_dir)

    return add


def _both(name: str, program: Callable[[int], Any], **more: Any) -> Case:
    """The program is told whether it is the first (1) or the second (2) time."""
    return Case(
        name=name, before=_stack(lambda: program(1)), after=_stack(lambda: program(2)), **more
    )


def _components(version: int) -> None:
    group = Group("outer")
    inner = Group("inner", ResourceOptions(parent=group))
    Thing("child", ResourceOptions(parent=inner), size=version)
    if version == 2:
        Thing("second", ResourceOptions(parent=Group("more", ResourceOptions(parent=group))))


def _transforms(version: int) -> None:
    def mark(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if not args.type_.startswith("world:"):
            return None
        return pulumi.ResourceTransformResult(props={**args.props, "mark": version}, opts=args.opts)

    pulumi.runtime.register_resource_transform(mark)
    first = Thing("a")
    Thing("b", of=first.made)


def _old_transformations(version: int) -> None:
    def mark(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        return pulumi.ResourceTransformationResult({**args.props, "mark": version}, args.opts)

    Thing("a", ResourceOptions(transformations=[mark]))


def _aliases(version: int) -> None:
    if version == 1:
        Thing("old", size=1)
    else:
        Thing("new", ResourceOptions(aliases=[Alias(name="old")]), size=2)


def _imports(version: int) -> None:
    Thing("own", size=version)
    if version == 2:
        Thing("theirs", ResourceOptions(import_="theirs-1"), size=7, title="theirs")


def _reads(version: int) -> None:
    read = Thing("theirs", ResourceOptions(id="theirs-1"))
    Thing("own", of=read.id, size=version)


def _assets(version: int) -> None:
    Path("asset.txt").write_text("always the same")
    archive = pulumi.AssetArchive({"x.txt": pulumi.StringAsset(f"x{version}")})
    Thing("text", content=pulumi.StringAsset(f"text {version}"))
    Thing("file", content=pulumi.FileAsset("asset.txt"), size=version)
    Thing("archive", content=archive)


def _large(version: int) -> None:
    Thing("a", content=f"{version}" * 300_000)
    pulumi.export("large", f"{version}" * 2_000_000)


def _options(version: int) -> None:
    own = Provider("mine", realm=f"r{version}")
    first = Thing("first", ResourceOptions(provider=own))
    Thing("kept", ResourceOptions(ignore_changes=["size"]), size=version)
    Thing("anew", ResourceOptions(replace_on_changes=["size"]), size=version)
    Thing("before", ResourceOptions(delete_before_replace=True, depends_on=[first]), fixed=version)
    Other("secret", token=Output.secret(f"s{version}"), of=first.made)


def _package(version: int) -> None:
    Sub("a", size=version)
    if version == 2:
        Sub("b")


def _hooks(version: int) -> None:
    hook = pulumi.ResourceHook("drain", lambda _args: None)
    hooks = pulumi.ResourceHookBinding(before_delete=[hook], after_create=[hook])
    Thing("queue", ResourceOptions(hooks=hooks), size=version)


async def _awaits() -> None:
    first = Thing("a", size=2)
    await asyncio.sleep(0.01)
    Thing("b", of=first.made)


async def _failing_await() -> None:
    Thing("a", size=2)
    await asyncio.sleep(0.01)
    raise ConnectionError("nobody answers")


def _failing_apply() -> None:
    def fail(_: Any) -> Any:
        raise KeyError("not in there")

    pulumi.export("x", Thing("a", size=2).made.apply(fail))


def _one() -> None:
    pulumi.export("url", Thing("a", size=1).made)


def _referenced(version: int) -> Adds:
    def base() -> None:
        pulumi.export("url", Thing("base", size=version).made)

    def reader() -> None:
        there = pulumi.StackReference("organization/programs-base/dev")
        Thing("reader", of=there.require_output("url"))

    def add(saga: Saga, _root: Path) -> Any:
        first = saga.add_stack("base", program=base)
        return saga.add_stack("it", program=reader, after=[first])

    return add


_THINGS = """resources:
  a:
    type: world:Thing
    properties: {{size: {version}, token: {{fn::secret: s{version}}}}}
    options: {{version: 1.0.0}}
  {name}:
    type: world:Thing
    properties: {{token: "${{a.made}}"}}
    options: {{version: 1.0.0, dependsOn: ["${{a}}"]}}
outputs:
  url: ${{a.made}}
"""
_GET = """resources:
  theirs:
    type: world:Thing
    get: {{id: theirs-1}}
    options: {{version: 1.0.0}}
  own:
    type: world:Thing
    properties: {{size: {version}, token: "${{theirs.id}}"}}
    options: {{version: 1.0.0}}
"""
_LOCAL = """packages:
  mine: ../mine
resources:
  kept: {{type: "pulumi:index:Stash", properties: {{input: {version}}}}}
"""
_REFERENCE = """resources:
  there: {{type: "pulumi:pulumi:StackReference", properties: {{name: organization/base/dev}}}}
  own:
    type: world:Thing
    properties: {{size: {version}, token: '${{there.outputs["url"]}}'}}
    options: {{version: 1.0.0}}
"""


def _local_package(version: int) -> Adds:
    def add(saga: Saga, root: Path) -> Any:
        (root / "mine").mkdir(exist_ok=True)
        (root / "mine" / "PulumiPlugin.yaml").write_text("runtime: python\n")
        return _yaml(_LOCAL.format(version=version))(saga, root)

    return add


def _yaml_referenced(version: int) -> Adds:
    def add(saga: Saga, root: Path) -> Any:
        _yaml(_THINGS.format(version=version, name="b"), "base")(saga, root)
        return _yaml(_REFERENCE.format(version=version))(saga, root)

    return add


def _projects(name: str, text: str) -> Case:
    return Case(
        name=name,
        before=_yaml(text.format(version=1, name="b")),
        after=_yaml(text.format(version=2, name="c")),
    )


IMPORTED: Final = "it was there before this run"

COLLECTION: Final = (
    _both("components", _components),
    _both("transforms", _transforms),
    _both("transformations", _old_transformations),
    _both("aliases", _aliases),
    _both(
        "imports",
        _imports,
        named=(("step", IMPORTED), ("update", IMPORTED)),
        takes=("theirs-1",),
    ),
    _both("reads", _reads),
    _both("assets", _assets),
    _both("large outputs", _large),
    _both("options", _options),
    _both("a parameterized package", _package),
    _both("hooks", _hooks),
    Case(name="awaits", before=_stack(_one), after=_stack(_awaits)),
    Case(name="a failing await", before=_stack(_one), after=_stack(_failing_await), fails=True),
    Case(name="a failing apply", before=_stack(_one), after=_stack(_failing_apply), fails=True),
    Case(name="stack references", before=_referenced(1), after=_referenced(2)),
    _projects("yaml: resources", _THINGS),
    _projects("yaml: reads", _GET),
    Case(name="yaml: a local package", before=_local_package(1), after=_local_package(2)),
    Case(name="yaml: stack references", before=_yaml_referenced(1), after=_yaml_referenced(2)),
)
