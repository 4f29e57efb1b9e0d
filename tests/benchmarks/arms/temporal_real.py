"""The seconds of `alma-pulumi up` of a saga of `temporal_stacks.py`, here or by so many workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

STACKS = Path(__file__).with_name("temporal_stacks.py")
count, target = int(sys.argv[1]), f"{STACKS}:{sys.argv[2]}"
environment = dict(os.environ)
if not count:
    del environment["ALMA_TEMPORAL"]


def worker() -> subprocess.Popen[bytes]:
    started = subprocess.Popen(["alma-pulumi", "worker", target], stderr=subprocess.PIPE)
    assert started.stderr is not None
    assert b"serves" in started.stderr.readline()
    return started


workers = [worker() for _ in range(count)]
began = time.perf_counter()
done = subprocess.run(
    ["alma-pulumi", "up", "--yes", target], env=environment, capture_output=True, check=False
)
seconds = time.perf_counter() - began
assert done.returncode == 0, done.stderr.decode()
for one in workers:
    one.terminate()
    one.communicate()
print(json.dumps({"seconds": seconds}))
