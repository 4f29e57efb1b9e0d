"""B: one stack with so many resources."""

from __future__ import annotations

import sys

import pulumi
from pulumi import automation


def many() -> None:
    for number in range(int(sys.argv[1])):
        pulumi.Stash(f"part{number}", input=number)


stack = automation.create_or_select_stack("dev", "many", many)
print(len(stack.up().outputs))
