"""SIGKILL in volume, over a stub of the CLI: every run comes to its end, and the end is true."""

from __future__ import annotations

import os

import pytest

from tests.faults.stub.volume import run_volume

SEED = int(os.environ.get("ALMA_FAULTS_SEED", "1"))
KILLS = int(os.environ.get("ALMA_FAULTS_KILLS", "25"))


@pytest.mark.timeout(900)
def test_whoever_is_killed_whenever_the_end_is_true() -> None:
    """The runner, a worker, the CLI or all of them; the seed of a failure is in its message."""
    volume = run_volume(SEED, KILLS, benches=2)
    told = "\n".join(f"seed {t.seed}: {t.violations}; {t.log}" for t in volume.failed)
    assert not volume.failed, told
    assert volume.kills >= KILLS
    if KILLS >= 300:  # a few may well not come to each of them
        assert {"COMPLETED", "COMPENSATED", "FAILED"} <= set(volume.states)
