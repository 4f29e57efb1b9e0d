"""Medians, and how sure they are: percentile bootstrap, from a seed, so that it can be redone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 4000
_LOW, _HIGH = 0.025, 0.975


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95% interval."""

    value: float
    low: float
    high: float


def middle(values: Sequence[float]) -> Estimate:
    """The median."""
    return _bootstrap(lambda pick: median(pick(values)), values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """The ratio of two medians; each side is resampled by itself."""
    return _bootstrap(lambda pick: median(pick(ours)) / median(pick(theirs)), ours, theirs)


def _bootstrap(
    statistic: Callable[[Callable[[Sequence[float]], Sequence[float]]], float],
    *samples: Sequence[float],
) -> Estimate:
    if not all(samples):
        raise ValueError("there is nothing to estimate from")
    chance = random.Random(20250101)
    found = sorted(
        statistic(lambda values: chance.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    last = len(found) - 1
    return Estimate(
        value=statistic(lambda values: values),
        low=found[round(_LOW * last)],
        high=found[round(_HIGH * last)],
    )
