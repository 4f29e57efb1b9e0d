"""Random sagas under random faults: the invariants hold, whatever happens to their runners."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from alma.journal.encryption import KEY, new_key
from tests.faults.model import stores
from tests.faults.model.case import Case
from tests.faults.model.cases import cases
from tests.faults.model.play import play
from tests.services.postgres import Postgres

SEED = int(os.environ.get("ALMA_FAULTS_SEED", "1"))
CASES = int(os.environ.get("ALMA_FAULTS_CASES", "100"))
SHRINK = os.environ.get("ALMA_FAULTS_SHRINK", "1") == "1"
CHUNK = 250
"""Cases to a test: what Hypothesis remembers of a test grows with it."""


@pytest.mark.timeout(900)
def test_invariants_hold_over_postgres(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few, so that each change sees them; `nox -s faults -- --store postgres` plays many."""
    monkeypatch.setenv(stores.VARIABLE, postgres.url)
    monkeypatch.setenv(KEY, new_key())

    @seed(7)
    @settings(
        max_examples=6,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def check(case: Case) -> None:
        violations = play(case)
        assert not violations, "\n".join(violations)

    try:
        check()
    finally:
        stores.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(-(-CASES // CHUNK)))
def test_invariants_hold(chunk: int) -> None:
    @seed(SEED * 100_000 + chunk)
    @settings(
        max_examples=min(CHUNK, CASES - chunk * CHUNK),
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if SHRINK else [])],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(cases())
    def check(case: Case) -> None:
        violations = play(case)
        assert not violations, "\n".join(violations)

    check()
