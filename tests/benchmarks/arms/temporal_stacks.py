"""Real stacks, as `alma-pulumi up` and its workers have them: a chain, and side by side."""

from __future__ import annotations

from stage import stage

from alma import Saga

CHAIN, WIDE = 5, 10
chain = Saga("chain", stack="dev")
step = None
for number in range(1, CHAIN + 1):
    inputs = {"upstream": step.output("value")} if step else {}
    step = chain.add_stack(f"s{number}", program=stage, inputs=inputs)

wide = Saga("wide", stack="dev")
for number in range(WIDE):
    wide.add_stack(f"w{number}", program=stage, after=[])
