"""B': the same as a script of the Automation API, in threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from pulumi import automation
from stage import stage


def bring_up(number: int) -> automation.OutputMap:
    stack = automation.create_or_select_stack("dev", f"wide-w{number}", stage)
    return stack.up().outputs


with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(len(list(pool.map(bring_up, range(int(sys.argv[1]))))))
