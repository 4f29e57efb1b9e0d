"""B: the same as a plain script of the Automation API; undone by a loop written by hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pulumi import automation
from stage import broken, stage

count, ending = int(sys.argv[1]), sys.argv[2:]
done: list[automation.Stack] = []
value = ""
try:
    for number in range(1, count + 1):
        program = broken if ending == ["broken"] and number == count else stage
        stack = automation.create_or_select_stack("dev", f"chain-s{number}", program)
        done.append(stack)
        if value:
            stack.set_config("upstream", automation.ConfigValue(value))
        value = stack.up().outputs["value"].value
    print(value)
except automation.CommandError:
    for stack in reversed(done):
        stack.destroy()
        stack.workspace.remove_stack("dev")
    print("DESTROYED")
if report := os.environ.get("BENCH_PEAK"):
    Path(report).write_text(Path("/proc/self/status").read_text())
