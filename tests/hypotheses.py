"""Which cases Hypothesis judges: the same each time, or fresh ones where `ALMA_TESTS_FRESH` is set.

A failure in CI is then one that its change has made, and can be seen again. Fresh cases are looked
for where there is time to look at what they find: in `nox -s faults`, by its seed, or by hand.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings
from hypothesis.internal.conjecture import providers

FRESH: Final = os.environ.get("ALMA_TESTS_FRESH", "") not in ("", "0")


def choose() -> None:
    """Make it so for all that is drawn from now on in this process."""
    settings.register_profile("same", derandomize=True)
    if not FRESH:
        settings.load_profile("same")
        seeds_alone_count()


def seeds_alone_count() -> None:
    """Draw by the seed, and not by which tests the process has run before.

    Hypothesis also tries constants that stand in the modules that are loaded (it finds a magic
    number so), and tests load more and more of them.
    """
    if hasattr(providers, "_get_local_constants"):
        providers._get_local_constants = providers.Constants
