"""Any deployment, any update that fails anywhere: restored, all is as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.restore.bench import CHUNK, bench

pytestmark = pytest.mark.lives

CASES = int(os.environ.get("ALMA_FAULTS_RESTORES", "5"))
"""A case is four updates by the real engine, some two seconds."""


@pytest.mark.timeout(30 * CHUNK)
@pytest.mark.parametrize("number", range(-(-CASES // CHUNK)))
@pytest.mark.usefixtures("pulumi_cli")
def test_any_update_is_undone(number: int, tmp_path: Path) -> None:
    """State, outputs and the provider's own world; a preview of the program shows only `same`."""
    count = min(CHUNK, CASES - number * CHUNK)
    done: list[int] = []
    with bench(tmp_path) as at:
        at.check(number, count, done)
    assert len(done) == count
