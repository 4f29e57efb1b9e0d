"""Any deployment, any update that fails anywhere: restored, all is as it was before."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from alma.engine.pool import PulumiEngine
from tests.engine.conftest import Place, pulumi  # noqa: F401 - a fixture
from tests.restore.conftest import Lab, differing
from tests.restore.deployments import Deployment, cases, program_of

CASES = int(os.environ.get("ALMA_RESTORE_CASES", "8"))
"""Each is four updates by the real engine: some five seconds."""


class Bench:
    """One engine, one provider that stays, and a new stack for each case."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loop = asyncio.new_event_loop()
        self.count = 0
        self.engine = PulumiEngine(parallelism=1, cwd=root)

    def lab(self) -> Lab:
        self.count += 1
        world = self.root / "world"
        shutil.rmtree(world, ignore_errors=True)
        world.mkdir()
        place = Place(root=self.root, engine=self.engine, argv=self.root / "argv")
        return Lab(place=place, world=world, stack=f"s{self.count}")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, pulumi: str) -> Iterator[Bench]:  # noqa: F811
    root = tmp_path_factory.mktemp("bench")
    repository = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": repository,
        "ALMA_TEST_WORLD": str(root / "world"),
    }
    provider = subprocess.Popen(
        [sys.executable, "-m", "tests.restore.world_provider"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert provider.stdout is not None
    port = provider.stdout.readline().strip()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository)
        patch.setenv("PATH", os.pathsep.join([str(Path(pulumi).parent), os.environ["PATH"]]))
        # The engine speaks to the provider that runs: none is started for an operation.
        patch.setenv("PULUMI_DEBUG_PROVIDERS", f"world:{port}")
        patch.chdir(root)
        made = Bench(root)
        try:
            yield made
        finally:
            made.loop.run_until_complete(made.engine.close())
            made.loop.close()
            provider.kill()
            provider.wait()
            provider.stdout.close()


@pytest.mark.timeout(60 + 60 * CASES)
def test_any_update_is_undone(bench: Bench) -> None:
    """State, outputs and the provider's own world; a preview of the program shows only `same`."""

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize="ALMA_RESTORE_CASES" not in os.environ,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # Shrinking takes minutes, and a case is small.
        report_multiple_bugs=False,
        print_blob=True,
    )
    @given(cases())
    def holds(case: tuple[Deployment, Deployment]) -> None:
        bench.loop.run_until_complete(_holds(bench.lab(), *case))

    holds()


async def _holds(lab: Lab, before: Deployment, after: Deployment) -> None:
    program = program_of(before, "before")
    first = await lab.up(program)
    assert first.failure is None, first.failure
    await lab.keep()
    state, world = await lab.state(), lab.things()
    changed = await lab.up(program_of(after, "after"))
    note(f"the update: {changed.failure}, {changed.changes}")
    kept = await lab.let_go()
    restored = await lab.restore()
    note(f"the restore: {restored}")
    assert restored.failure is None
    assert restored.unlike == ()
    renewed = {one.reason.removeprefix("made again; it was "): one.id for one in restored.renewed}
    now, was = _told(await lab.state(), set(renewed.values())), _told(state, set(renewed))
    assert differing(now, _renewed(was, renewed)) == {}
    left = {name: held for name, held in lab.things().items() if name not in kept}
    assert _told(left, set(renewed.values())) == _renewed(_told(world, set(renewed)), renewed)
    seen = await lab.preview(program)
    assert set(seen.changes) <= {"same"}, seen
    assert seen.failure is None


def _renewed(tree: Any, ids: dict[str, str]) -> Any:
    """The tree with new ids for old ones."""
    text = json.dumps(tree)
    for old, new in ids.items():
        text = text.replace(old, new)
    return json.loads(text)


def _told(tree: dict[str, Any], again: set[str]) -> dict[str, Any]:
    """Without the titles that the provider made up anew for what was made again."""
    told = json.loads(json.dumps(tree))
    for name, held in told.items():
        if any(identity in name for identity in again):
            for part in (held.get("inputs", {}), held.get("outputs", {})):
                if not str(part.get("title", "")).startswith("title of"):
                    part.pop("title", None)
    return told
