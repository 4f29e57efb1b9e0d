"""The release volume of faults: `python -m tests.faults --seed 1 --budget 30`.

Runs the mutants, random cases of the model, kills over the stub, kills of the real CLI and random
restores by the real engine, and prints what each row of the matrix got. Exit 1 on any violation,
with how to see it again. The `budget` (minutes) cuts the volumes, and not the mutants; without it
all of them are run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults import mutants
from tests.faults.matrix import MATRIX
from tests.faults.model import stores
from tests.faults.stub.volume import Volume, run_volume


@dataclass
class Tier:
    """What one tier came to. `unit` is what is counted: cases or kills."""

    name: str
    unit: str
    asked: int
    done: int = 0
    violations: int = 0
    seconds: float = 0.0
    rows: Counter[int] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)


def model(seed: int, cases: int, deadline: float | None, store: str) -> Tier:
    """The chunks' seeds of the two halves do not meet."""
    tier, module = Tier("model", "cases", cases), "tests.faults.model.explore"
    return _halves(tier, module, seed, deadline, f" --store {store}")


def kills(seed: int, count: int, deadline: float | None, store: str, *, real: bool) -> Tier:
    """Over the stub or the real CLI."""
    tier = Tier("real" if real else "stub", "kills", count)
    volume = run_volume(seed, count, deadline=deadline, real=real) if count else Volume()
    tier.done, tier.violations = volume.kills, len(volume.failed)
    tier.rows = volume.rows
    for trial in volume.failed:
        what = f"trial {trial.seed}: {trial.violations[0]}; {', '.join(trial.log)}"
        again = f"python -m tests.faults.stub.volume {trial.seed} --store {store}"
        tier.told.append(f"{what}\n  {again}{' --real' if real else ''}")
    return tier


def restores(seed: int, cases: int, deadline: float | None) -> Tier:
    """Each half in a place of its own."""
    return _halves(Tier("restore", "cases", cases), "tests.restore.bench", seed, deadline)


def _halves(tier: Tier, module: str, seed: int, deadline: float | None, options: str = "") -> Tier:
    """Two processes, each with half of the cases: Hypothesis is a single-threaded thing."""
    if not tier.asked:
        return tier
    command = [sys.executable, "-m", module, "--cases", str(tier.asked // 2)]
    if deadline is not None:
        command += ["--seconds", str(max(1.0, deadline - time.monotonic()))]
    halves = [
        subprocess.Popen([*command, "--seed", str(seed * 2 + half)], stdout=subprocess.PIPE)
        for half in (0, 1)
    ]
    for half, process in enumerate(halves):
        report = json.loads(process.communicate()[0])
        tier.done += report["cases"]
        tier.violations += report["violations"]
        tier.rows.update({int(row): count for row, count in report.get("rows", {}).items()})
        again = f"python -m {module} --cases {tier.asked // 2} --seed {seed * 2 + half}"
        tier.told += [f"{text}\n  {again}{options}" for text in report["told"]]
    return tier


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all tiers; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, help="minutes for the volumes")
    parser.add_argument("--model", type=int, default=25_000, help="cases of the model")
    parser.add_argument("--stub", type=int, default=5_000, help="kills over the stub")
    parser.add_argument("--real", type=int, default=400, help="kills with the real CLI")
    parser.add_argument("--restore", type=int, default=1_000, help="restores by the real engine")
    parser.add_argument("--no-mutants", action="store_true")
    stores.add_option(parser)
    options = parser.parse_args(arguments)
    with stores.chosen(options.store):
        return _tiers(options)


def _tiers(options: argparse.Namespace) -> int:
    missed = 0 if options.no_mutants else mutants.main([])
    began, tiers = time.monotonic(), []
    for share, run in (
        (0.35, lambda until: model(options.seed, options.model, until, options.store)),
        (0.6, lambda until: kills(options.seed, options.stub, until, options.store, real=False)),
        (0.8, lambda until: kills(options.seed, options.real, until, options.store, real=True)),
        (1.0, lambda until: restores(options.seed, options.restore, until)),
    ):
        start = time.monotonic()
        until = None if options.budget is None else began + options.budget * 60 * share
        tiers.append(run(until))
        tiers[-1].seconds = time.monotonic() - start
    sys.stdout.write(_table(tiers, options.seed, options.store))
    return 1 if missed or any(tier.violations for tier in tiers) else 0


def _table(tiers: Sequence[Tier], seed: int, store: str) -> str:
    names = "".join(f"{tier.name:>8}" for tier in tiers)
    lines = [f"\n{'row':>3}  {'fault':<42}{names}"]
    for row in MATRIX:
        counts = "".join(f"{tier.rows[row.number] or '-':>8}" for tier in tiers)
        lines.append(f"{row.number:>3}  {row.fault:<42}{counts}")
    lines.append("\nRows without a count have tests of their own: see tests/faults/matrix.py.\n")
    lines.append(f"{'tier':<8}{'asked':>8}{'done':>8}  {'':<8}{'violations':>11}{'seconds':>9}")
    lines += [
        f"{t.name:<8}{t.asked:>8}{t.done:>8}  {t.unit:<8}{t.violations:>11}{t.seconds:>9.0f}"
        for t in tiers
    ]
    told = [text for tier in tiers for text in tier.told]
    if told:
        lines += ["", *told]
    lines.append(f"\nseed {seed}; again: nox -s faults -- --seed {seed} --store {store}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
