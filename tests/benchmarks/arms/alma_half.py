"""A chain whose last step fails and is left as it is; `resume` goes on with it, mended."""

from __future__ import annotations

import asyncio
import sys

from stage import broken, stage

import alma
from alma import Saga, SagaFailed

count, mended = int(sys.argv[1]), sys.argv[2] == "resume"
saga = Saga("chain", stack="dev", on_failure="stop")
step = None
for number in range(1, count + 1):
    step = saga.add_stack(
        f"s{number}",
        program=stage if mended or number < count else broken,
        inputs={"upstream": step.output("value")} if step else {},
    )

if mended:
    print(asyncio.run(alma.resume(saga=saga, accept_changes=True)).state.name)
else:
    try:
        saga.run()
    except SagaFailed as failed:
        print(failed.result.state.name)
