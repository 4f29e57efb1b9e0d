"""Any deployment, any update that fails anywhere: restored, all is as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.restore.bench import CHUNK, bench

SEEDS = int(os.environ.get("ALMA_RESTORE_SEEDS", "2"))
"""Each is `CHUNK` cases; a case is four updates by the real engine, some two seconds."""


@pytest.mark.timeout(30 * CHUNK)
@pytest.mark.parametrize("number", range(SEEDS))
@pytest.mark.usefixtures("pulumi_cli")
def test_any_update_is_undone(number: int, tmp_path: Path) -> None:
    """State, outputs and the provider's own world; a preview of the program shows only `same`."""
    done: list[int] = []
    with bench(tmp_path) as at:
        at.check(number, CHUNK, done)
    assert len(done) == CHUNK
