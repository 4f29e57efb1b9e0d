"""Two that come to a stack at the same moment: how often one asks again, and how long it waits.

Imports no pulumi.
"""

from __future__ import annotations

from typing import Final

TRIES: Final = 4
"""How often an operation, or a command of the CLI, is begun where it meets another one."""


def delay(tried: int) -> float:
    """Seconds until the next try: each time longer, and not the same for two that have met."""
    import random  # it takes longer than all else that is needed until two have met

    return random.uniform(0.1, 0.6) * tried  # noqa: S311 - no secret
