"""What pulumi-aws adds to a worker: processor time and memory, by the services that are used."""

from __future__ import annotations

import random
from importlib.util import find_spec

from tests.benchmarks.room import House, script
from tests.benchmarks.timing import tell, timed

ARMS = {
    "no pulumi-aws": (),
    "s3, sns, sqs": ("storage", "messaging"),
    "s3, sns, sqs, ec2, iam": ("storage", "messaging", "network", "servers"),
}
"""Stacks of `stacks.aws`."""

Samples = dict[str, list[float]]


def present() -> bool:
    """Whether pulumi-aws is installed."""
    return find_spec("pulumi_aws") is not None


def loads(house: House, repeats: int) -> tuple[Samples, Samples]:
    """Seconds of processor time, and MiB, by arm; in random order, the first to warm up."""
    seconds: Samples = {name: [] for name in ARMS}
    memory: Samples = {name: [] for name in ARMS}
    for repeat in range(repeats + 1):
        for name in random.sample(list(ARMS), len(ARMS)):
            with house.room() as room:
                _, said = timed(room, script("aws_worker.py", *ARMS[name]))
            took, held = map(float, said.rpartition("\n")[2].split())
            if repeat:
                seconds[name].append(took)
                memory[name].append(held)
        tell(f"loads: {'warm' if repeat == 0 else f'{repeat} of {repeats}'}")
    return seconds, memory
