"""A worker of the sagas of `temporal_sagas.py`, until a signal.

Says on stdout when it serves, and in its last line the most memory that it held, in MiB, and the
seconds of processor time that it took since it serves.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time

from temporal_sagas import sagas

from alma.runner.settings import Settings
from alma.runner.temporal.served import Served
from alma.runner.temporal.worker import serve
from alma.saga.target import Target
from alma.testing import FakeEngine

OPERATIONS = 4


async def main() -> None:
    settings = Settings(engine=FakeEngine(), handle_signals=False, temporal="")
    opened = [
        Target(name=one.name, origin="", modules=(), saga=one) for one in sagas(*sys.argv[1:])
    ]
    await serve(
        [Served(opened=one, loaded=one.load(), settings=settings) for one in opened],
        address=os.environ["ALMA_TEMPORAL"],
        operations=OPERATIONS,
        ready=lambda _words: began.append(time.process_time()) or print("serves", flush=True),
    )


began: list[float] = []
asyncio.run(main())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(peak, time.process_time() - began[0])
