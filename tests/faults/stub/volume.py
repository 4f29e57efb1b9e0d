"""Trials until so many kills have hit, on several benches at once: half of a trial is waiting.

`python -m tests.faults.stub.volume SEED [--real] [--store postgres]` runs one trial again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.faults.model import stores
from tests.faults.stub.bench import bench
from tests.faults.stub.trial import Trial, run_trial

BENCHES = 2 * (os.cpu_count() or 1)


@dataclass
class Volume:
    """What came of it. `failed` are the trials that broke an invariant."""

    trials: int = 0
    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    rows: Counter[int] = field(default_factory=Counter)
    failed: list[Trial] = field(default_factory=list)


def run_volume(
    seed: int,
    kills: int,
    *,
    deadline: float | None = None,
    benches: int = BENCHES,
    real: bool = False,
) -> Volume:
    """Run trials of consecutive seeds; stops early at `deadline` (monotonic) or ten failures."""
    volume, lock = Volume(), threading.Lock()
    seeds = itertools.count(seed * 1_000_000)

    def enough() -> bool:
        over = deadline is not None and time.monotonic() > deadline
        return over or volume.kills >= kills or len(volume.failed) >= 10

    def work(_number: int) -> None:
        with bench(real=real) as place:
            for trial in _trials(seeds, lock, enough):
                done = run_trial(place, trial, kills=4)
                with lock:
                    volume.trials += 1
                    volume.kills += done.kills
                    volume.rows.update(done.rows)
                    volume.states[done.state] += 1
                    if done.violations:
                        volume.failed.append(done)

    with ThreadPoolExecutor(benches) as pool:
        list(pool.map(work, range(benches)))
    return volume


def _trials(seeds: Iterator[int], lock: threading.Lock, enough: object) -> Iterator[int]:
    while not enough():  # type: ignore[operator]
        with lock:
            seed = next(seeds)
        yield seed


def main() -> int:
    """One trial again, with what was done and what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stub.volume")
    parser.add_argument("seed", type=int)
    parser.add_argument("--real", action="store_true")
    stores.add_option(parser)
    options = parser.parse_args()
    with stores.chosen(options.store), bench(real=options.real) as place:
        trial = run_trial(place, options.seed, kills=4)
    sys.stdout.write(f"{trial.log}\n{trial.state}\n" + "\n".join(trial.violations) + "\n")
    return 1 if trial.violations else 0


if __name__ == "__main__":
    sys.exit(main())
