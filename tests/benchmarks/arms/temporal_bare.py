"""A Temporal workflow of so many activities in a row that do nothing; prints its seconds.

Its worker is a process of its own, as alma's are: this script with nothing but a word.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bare"


@activity.defn
async def nothing(_number: int) -> str:
    return "done"


@workflow.defn
class Bare:
    @workflow.run
    async def run(self, count: int) -> int:
        for number in range(count):
            await workflow.execute_activity(
                nothing, number, start_to_close_timeout=timedelta(minutes=1)
            )
        return count


async def serve() -> None:
    client = await Client.connect(os.environ["ALMA_TEMPORAL"])
    async with Worker(client, task_queue=QUEUE, workflows=[Bare], activities=[nothing]):
        print("serves", flush=True)
        await asyncio.Event().wait()


async def main(count: int) -> dict[str, object]:
    client = await Client.connect(os.environ["ALMA_TEMPORAL"])
    name = f"bare-{os.getpid()}"
    handle = client.get_workflow_handle(name)
    began = time.perf_counter()
    done = await client.execute_workflow(Bare.run, count, id=name, task_queue=QUEUE)
    seconds = time.perf_counter() - began
    assert done == count
    events = (await handle.describe()).history_length
    return {"seconds": seconds, "operations": count, "events": events}


if __name__ == "__main__" and sys.argv[1] == "serve":
    asyncio.run(serve())
elif __name__ == "__main__":
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"serves\n"
            print(json.dumps(asyncio.run(main(int(sys.argv[1])))))
        finally:
            worker.kill()
