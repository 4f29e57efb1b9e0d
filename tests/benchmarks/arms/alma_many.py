"""A: one stack with so many resources."""

from __future__ import annotations

import sys

import pulumi

from alma import Saga


def many() -> None:
    for number in range(pulumi.Config().require_int("count")):
        pulumi.Stash(f"part{number}", input=number)


saga = Saga("many", stack="dev")
saga.add_stack("many", program=many, config={"count": int(sys.argv[1])})
print(len(saga.run().outputs))
