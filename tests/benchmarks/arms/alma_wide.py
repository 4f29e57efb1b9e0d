"""A: stacks that do not depend on each other, as many at once as the second argument says."""

from __future__ import annotations

import sys

from stage import stage

from alma import Saga

saga = Saga("wide", stack="dev", parallelism=int(sys.argv[2]))
for number in range(int(sys.argv[1])):
    saga.add_stack(f"w{number}", program=stage, after=[])

if __name__ == "__main__":
    print(len(saga.run().outputs))
