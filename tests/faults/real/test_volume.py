"""The real CLI, killed at random moments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.stub.volume import run_volume

pytestmark = pytest.mark.lives

SEED = int(os.environ.get("ALMA_FAULTS_SEED", "1"))
KILLS = int(os.environ.get("ALMA_FAULTS_REAL", "4"))


@pytest.mark.timeout(3600)
def test_whoever_is_killed_whenever_the_end_is_true(pulumi_cli: Path) -> None:
    """The seed of a failure is in its message."""
    assert pulumi_cli.exists()
    volume = run_volume(SEED, KILLS, real=True, benches=2)
    told = "\n".join(f"seed {t.seed}: {t.violations}; {t.log}" for t in volume.failed)
    assert not volume.failed, told
    assert volume.kills >= KILLS
