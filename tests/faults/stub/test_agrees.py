"""The same plans, by their seeds, over the stub and over the real CLI: they end alike.

How each behaves when it is killed or signalled is held together in ../test_fake_agrees.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.stub.bench import bench
from tests.faults.stub.trial import run_trial

pytestmark = pytest.mark.lives

SEEDS = (1, 4, 5, 9)


def test_undisturbed_plans_end_alike(pulumi_cli: Path) -> None:
    """COMPLETED, COMPENSATED and FAILED ones, each also held against its own truth."""
    assert pulumi_cli.exists()
    ends = []
    for real in (False, True):
        with bench(real=real) as place:
            trials = [run_trial(place, seed, kills=0) for seed in SEEDS]
        assert [trial.violations for trial in trials] == [[] for _ in SEEDS]
        ends.append([(trial.seed, trial.state, trial.log) for trial in trials])
    assert ends[0] == ends[1]
    assert {state for _, state, _ in ends[0]} == {"COMPLETED", "COMPENSATED", "FAILED"}
