"""What the tests of restore share: an engine in a place of its own, and a world of files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alma.pulumi.deployment import entries_of, open_current, opened
from alma.pulumi.engine import OperationResult, RestoreRequest, RestoreResult, StackRef
from tests.pulumi.conftest import Place, directory, place  # noqa: F401 - fixtures
from tests.restore.things import world_of
from tests.vault import empty_stack

_VOLATILE = frozenset({"created", "modified", "sourcePosition", "stackTrace", "aliases"})


@dataclass(kw_only=True)
class Lab:
    """One stack of one test: brought up, changed, restored, and looked at."""

    place: Place
    world: Path
    stack: str = "dev"
    snapshot: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> StackRef:
        """The stack."""
        return self.place.ref(self.stack)

    async def up(self, program: Callable[[], Any] | None = None, **options: Any) -> OperationResult:
        """Bring the stack to the program."""
        options.setdefault("stack", self.stack)
        return await self.place.up(program, **options)

    async def keep(self) -> None:
        """Take the snapshot."""
        document = await self.place.engine.export(self.ref)
        assert document is not None
        self.snapshot = json.loads(json.dumps(document))

    async def restore(self, **options: Any) -> RestoreResult:
        """Restore it."""
        request = RestoreRequest(
            ref=self.ref, document=self.snapshot, log_dir=str(self.place.logs())
        )
        return await self.place.engine.restore(request, self.place.operation(**options))

    async def preview(
        self, program: Callable[[], Any], config: Mapping[str, Any] | None = None
    ) -> OperationResult:
        """Preview a program."""
        request = self.place.request(program, self.stack, config=config or {})
        return await self.place.engine.preview(request, self.place.operation())

    async def let_go(self) -> set[str]:
        """Ids of what the update made and a deletion will not delete: the step names them."""
        deployment = self.snapshot["deployment"]
        known = {entry.get("id") for entry in deployment["resources"]}
        now = await self.place.engine.inspect(self.ref)
        return {one.id for one in now.resources if one.retain_on_delete and one.id not in known}

    async def state(self) -> dict[str, Any]:
        """The state by URN and id, secrets open, without what says nothing of the resources."""
        engine = self.place.engine
        backend = engine._of(self.ref)
        return described(await open_current(await engine._reader(backend), backend.root, self.ref))

    def files(self) -> list[Path]:
        """All that is under the working directory."""
        return list(self.place.root.rglob("*"))

    def things(self) -> dict[str, Any]:
        """The world."""
        return world_of(self.world)


def described(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """An opened deployment by URN and id, without what says nothing of the resources."""
    return dict(map(_described, entries_of(deployment)))


def differing(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """By resource and field what is now, and what was before."""
    nothing: dict[str, Any] = {}
    return {
        f"{name} {key}": (now.get(name, nothing).get(key), before.get(name, nothing).get(key))
        for name in {*now, *before}
        for key in {*now.get(name, nothing), *before.get(name, nothing)}
        if now.get(name, nothing).get(key) != before.get(name, nothing).get(key)
    }


def _described(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    fields = {key: opened(value) for key, value in entry.items() if key not in _VOLATILE}
    fields["dependencies"] = sorted(fields.get("dependencies", []))
    if "provider" in fields:
        fields["provider"] = fields["provider"].rpartition("::")[0]
    if entry["type"].startswith("pulumi:providers:"):
        del fields["id"]  # The engine's own, and another one each time.
    return f"{entry['urn']} {fields.get('id', '')}", fields


def put_on_path(tools: Path, world: Path, patch: pytest.MonkeyPatch) -> None:
    """Make this world's provider the plugin in `tools`, a directory of PATH."""
    root = str(Path(__file__).parents[2])
    patch.syspath_prepend(root)
    patch.setenv("ALMA_TEST_WORLD", str(world))
    plugin = tools / "pulumi-resource-world"
    run = f'PYTHONPATH="{root}" exec "{sys.executable}" -m tests.restore.world_provider'
    plugin.write_text(f'#!/bin/sh\n{run} "$@"\n')
    plugin.chmod(0o755)


@pytest.fixture
def lab(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:  # noqa: F811
    """A stack, an empty world, and its provider on PATH."""
    world = tmp_path / "world"
    world.mkdir()
    put_on_path(tmp_path / "bin", world, monkeypatch)
    return Lab(place=place, world=world)


@pytest.fixture
def made_already(lab: Lab) -> None:
    """The lab's stack is there, which saves a process of the CLI."""
    empty_stack(lab.place.root / ".alma" / "state", lab.ref.project, lab.stack)
