"""The same three tiers, and a balancer that fails: everything that started is undone.

    alma-pulumi up examples/three_tier_failing.py       # ends with exit code 4: failed, clean

No server answers /nope, so the balancer finds no healthy one. What has started by then goes
again: balancer, servers, database, in this order, and beside them the name service.
"""

from __future__ import annotations

import sys

from three_tier import run, three_tier

saga = three_tier("three-tier-failing", health_path="/nope")

if __name__ == "__main__":
    sys.exit(run(saga, __file__))
