"""The sagas of `temporal_sagas.py`, all at once: here, or driven by so many workers.

Prints the seconds that it took, the events in Temporal's histories, and the workers' memory in MiB.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from temporal_sagas import sagas
from temporalio.client import Client

from alma import Saga
from alma.runner import up
from alma.runner.settings import Settings
from alma.runner.temporal.orders import workflow_id
from alma.testing import FakeEngine

WORKER = [sys.executable, str(Path(__file__).with_name("temporal_worker.py"))]
count, shape = int(sys.argv[1]), sys.argv[2:]


async def prepared() -> Settings:
    """A journal is made once, whoever makes it."""
    here = Settings(engine=FakeEngine(), handle_signals=False, temporal="")
    warm = Saga("warm")
    warm.add_step("warm", action=print, compensation="none")
    await up(warm, settings=here)
    return here if not count else Settings(handle_signals=False)


async def run(settings: Settings) -> dict[str, object]:
    wanted = sagas(*shape)
    began = time.perf_counter()
    done = await asyncio.gather(*(up(saga, settings=settings) for saga in wanted))
    seconds = time.perf_counter() - began
    assert all(result.state.name == "COMPLETED" for result in done)
    operations = sum(len(saga.definition().steps) for saga in wanted)
    events = [await histories(saga.target) for saga in wanted if count]
    return {"seconds": seconds, "operations": operations, "events": sum(events)}


async def histories(target: str) -> int:
    """The events of a target's workflow, in all the runs by which it went on."""
    client = await Client.connect(os.environ["ALMA_TEMPORAL"])
    (last,) = [await client.get_workflow_handle(workflow_id(target)).describe()]
    run, events = last.raw_description.workflow_execution_info.first_run_id, 0
    while run:
        history = client.get_workflow_handle(workflow_id(target), run_id=run).fetch_history_events()
        run = ""
        async for event in history:
            events += 1
            run = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return events


def worker() -> subprocess.Popen[bytes]:
    started = subprocess.Popen([*WORKER, *shape], stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"serves\n"
    return started


settings = asyncio.run(prepared())
workers = [worker() for _ in range(count)]
found = asyncio.run(run(settings))
for one in workers:
    one.terminate()
last = [one.communicate()[0].decode().splitlines()[-1].split() for one in workers]
found["peaks"] = [float(peak) for peak, _ in last]
found["processor"] = sum(float(seconds) for _, seconds in last)
print(json.dumps(found))
