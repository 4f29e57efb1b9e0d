"""Random restores at a price that allows for many: `python -m tests.restore.bench --cases 1000`.

The engine, its CLI and the protocol to the provider are the real ones. What is saved is what a
case does not test: one provider and one worker serve all cases, the stacks' key is in a vault
instead of a passphrase's derivation, and the CLI does not collect garbage. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from msgspec import structs

from alma.pulumi.checkpoint import SECRET_SIGNATURE
from alma.pulumi.local import PulumiEngine
from alma.pulumi.messages import Report
from alma.pulumi.supervisor import Supervisor
from tests import hypotheses
from tests.pulumi.conftest import Place
from tests.restore.conftest import Lab, described, differing
from tests.restore.deployments import Deployment, cases, program_of
from tests.vault import empty_stack, opened, vault

CHUNK: Final = 25
"""Cases to a seed, as in the tests: what fails here fails there."""


MADE_UP: Final = "not as before: input title (made up anew by its provider)"


@dataclass(kw_only=True)
class VaultLab(Lab):
    """A lab whose stack's key is known, so that its state is read without a process."""

    key: bytes

    async def state(self) -> dict[str, Any]:
        """As `Lab.state`."""
        root = self.place.root / ".alma" / "state"
        return described(opened(root, self.ref.project, self.stack, self.key))


class Bench:
    """One engine, one provider that stays, and a new stack for each case."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loop = asyncio.new_event_loop()
        self.count = 0
        self.engine = PulumiEngine(parallelism=1, cwd=root)

    def lab(self) -> VaultLab:
        """An empty world and a stack that holds nothing."""
        self.count += 1
        world = self.root / "world"
        shutil.rmtree(world, ignore_errors=True)
        world.mkdir()
        stack = f"s{self.count}"
        key = empty_stack(self.root / ".alma" / "state", "demo", stack)
        place = Place(root=self.root, engine=self.engine, argv=self.root / "argv")
        return VaultLab(place=place, world=world, stack=stack, key=key)

    def check(self, number: int, count: int, done: list[int], until: float | None = None) -> None:
        """So many random cases from this seed, each one more in `done`; raises at a violation."""

        @seed(number)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # Shrinking takes minutes, and a case is small.
            report_multiple_bugs=False,
            print_blob=True,
        )
        @given(cases())
        def holds(case: tuple[Deployment, Deployment]) -> None:
            if until is None or time.monotonic() < until:
                done.append(number)
                self.loop.run_until_complete(_holds(self.lab(), *case))

        holds()


@contextmanager
def bench(root: Path) -> Iterator[Bench]:
    """A bench in this directory; the CLI is the one on PATH."""
    repository = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": repository, "ALMA_TEST_WORLD": str(root / "world")}
    command = [sys.executable, "-m", "tests.restore.world_provider"]
    provider = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert provider.stdout is not None
    port = provider.stdout.readline().strip()
    with vault() as url, pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository)
        patch.setattr(Supervisor, "run", _not_spent(Supervisor.run))
        patch.setenv("GOGC", "off")
        # It is on no PATH: each CLI would ask the internet for it, most of a second where there is
        # none, and go on without.
        patch.setenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
        patch.setenv("VAULT_SERVER_URL", url)
        patch.setenv("VAULT_SERVER_TOKEN", "any")
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


def _not_spent(run: Any) -> Any:
    """A worker that goes on after a failure: half a second less for most cases."""

    async def held(self: Supervisor) -> Report:
        report: Report = await run(self)
        return structs.replace(report, spent=False)

    return held


async def _holds(lab: Lab, before: Deployment, after: Deployment) -> None:
    """State, outputs and the provider's own world; a preview of the program shows only `same`."""
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
    named = {one.id: one.reason for one in restored.different}
    assert (restored.failure is None) == (not named)
    if any("protected" in reason for reason in named.values()):
        # It lost its parent, so it is another one: made by the update, and protected.
        assert all("made by this run" in reason for reason in named.values())
        return
    assert all(reason == MADE_UP for reason in named.values()), named
    renewed = {one.reason.removeprefix("made again; it was "): one.id for one in restored.recreated}
    again, gone = {*renewed.values(), *named}, {*renewed, *named}
    now, was = _told(await lab.state(), again), _told(state, gone)
    was = _renewed(was, renewed)
    _still_secret(now, was)
    assert differing(now, was) == {}
    left = {name: held for name, held in lab.things().items() if name not in kept}
    assert _told(left, again) == _renewed(_told(world, gone), renewed)
    seen = await lab.preview(program)
    assert set(seen.changes) <= {"same"}, seen
    assert seen.failure is None, seen.failure


def _renewed(tree: Any, ids: dict[str, str]) -> Any:
    """The tree with new ids for old ones."""
    text = json.dumps(tree)
    for old, new in ids.items():
        text = text.replace(old, new)
    return json.loads(text)


def _still_secret(now: dict[str, Any], was: dict[str, Any]) -> None:
    """The engine keeps an output secret that once was, also for the old program's own `up`."""
    for name, held in now.items():
        outputs, old = held.get("outputs", {}), was.get(name, {}).get("outputs", {})
        if outputs.get("made") == [SECRET_SIGNATURE, old.get("made")]:
            outputs["made"] = old["made"]


def _told(tree: dict[str, Any], again: set[str]) -> dict[str, Any]:
    """Without the titles that the provider made up anew for what was made again."""
    told: dict[str, Any] = json.loads(json.dumps(tree))
    for name, held in told.items():
        if any(identity in name for identity in again):
            for part in (held.get("inputs", {}), held.get("outputs", {})):
                if not str(part.get("title", "")).startswith("title of"):
                    part.pop("title", None)
    return told


@dataclass
class Volume:
    """What was found; `told` are the violations, with the seed to see them again."""

    done: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def run_volume(base: int, count: int, seconds: float | None = None) -> Volume:
    """So many cases, in chunks of consecutive seeds; begins none after so many seconds."""
    until = None if seconds is None else time.monotonic() + seconds
    found = Volume()
    with (
        tempfile.TemporaryDirectory(prefix="alma-restores-") as scratch,
        bench(Path(scratch)) as at,
    ):
        for number in range(base * 1000, base * 1000 + -(-count // CHUNK)):
            if until is not None and time.monotonic() > until:
                break
            try:
                at.check(number, min(CHUNK, count - len(found.done)), found.done, until)
            except Exception as error:  # noqa: BLE001 - a bug of alma's is a violation as well
                notes = "\n".join(getattr(error, "__notes__", []))
                found.told.append(f"seed {number}: {type(error).__name__}: {error}\n{notes}")
    return found


def main() -> int:
    """Run the volume, or one seed again."""
    hypotheses.seeds_alone_count()
    parser = argparse.ArgumentParser(prog="python -m tests.restore.bench")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=CHUNK)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    found = run_volume(options.seed, options.cases, options.seconds)
    report = {"cases": len(found.done), "violations": len(found.told), "told": found.told}
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if found.told else 0


if __name__ == "__main__":
    sys.exit(main())
