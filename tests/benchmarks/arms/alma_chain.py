"""A: stacks in a row, each with an output of the one before.

`broken` makes the last one fail, `changed` leaves alone what is as the last run has left it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stage import broken, stage

from alma import Saga, SagaFailed

count, ending = int(sys.argv[1]), sys.argv[2:]
saga = Saga("chain", stack="dev")
step = None
for number in range(1, count + 1):
    step = saga.add_stack(
        f"s{number}",
        program=broken if ending == ["broken"] and number == count else stage,
        inputs={"upstream": step.output("value")} if step else {},
    )

if __name__ == "__main__":
    try:
        print(saga.run(changed=ending == ["changed"]).outputs[f"s{count}"]["value"])
    except SagaFailed as failed:
        print(failed.result.state.name)
    if report := os.environ.get("BENCH_PEAK"):
        Path(report).write_text(Path("/proc/self/status").read_text())
