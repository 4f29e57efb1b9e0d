"""`python -m tests.services.keeper SERVICE DIRECTORY PID`: holds a service for the process PID.

Returns at once and goes on in the background. The service's facts are then in `ready.json`, or
`failed` says why there are none. At SIGTERM or when PID is gone, however it went, the service is
ended and DIRECTORY removed.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.services import docker, kubernetes, localstack, postgres, temporal
from tests.services.process import ServiceError
from tests.toolchain.process import UnavailableError

SERVICES: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "localstack": localstack.running,
    "docker": docker.running,
    "kubernetes": kubernetes.running,
    "postgres": postgres.running,
    "temporal": temporal.running,
}


def main(name: str, directory: Path, holder: int) -> None:
    """Leave the work to a child that no test's process has to wait for."""
    if (child := os.fork()) == 0:
        os.setsid()
        keep(name, directory, holder)
    else:
        (directory / "pid").write_text(str(child))
        # Not as a Python's end: the child has all that is to be ended.
        os._exit(0)


def keep(name: str, directory: Path, holder: int) -> None:
    """Hold the service until asked to end it, or until its holder is gone."""
    signal.signal(signal.SIGTERM, asked)
    threading.Thread(target=end_with, args=(holder,), daemon=True).start()
    try:
        with SERVICES[name](directory) as facts:
            publish(directory / "ready.json", json.dumps(asdict(facts)))
            rest()
    except (ServiceError, UnavailableError) as error:
        publish(directory / "failed", str(error))
    except Exception:  # noqa: BLE001, the tests that wait for it must hear of any
        publish(directory / "failed", f"{name} does not start:\n{traceback.format_exc()}")
    rest()


def rest() -> None:
    """Do nothing until a signal; in short sleeps, as one may come just before a sleep."""
    while True:
        time.sleep(0.2)


def asked(*_: object) -> None:
    """End: as an exception, so that all contexts are left."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()


def end_with(holder: int) -> None:
    """Wait for the end of the process `holder`, and have this one end too."""
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(holder)], [], [])
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def publish(path: Path, text: str) -> None:
    """Write a file that is there only when it is whole."""
    path.with_suffix(".part").write_text(text)
    path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    place = Path(sys.argv[2])
    try:
        main(sys.argv[1], place, int(sys.argv[3]))
    finally:
        shutil.rmtree(place, ignore_errors=True)
        # The last service of the run removes what it shared with others.
        with suppress(OSError):
            place.parent.rmdir()
