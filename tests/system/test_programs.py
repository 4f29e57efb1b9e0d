from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from alma.system.programs import named, read
from tests.waiting import until


def test_a_program_is_known_by_its_name_from_its_first_moment(tmp_path: Path) -> None:
    """Its arguments come a little after it: whoever looks in between must not take it for none."""
    program = tmp_path / "terraform"
    shutil.copy(shutil.which("sleep") or "", program)
    is_terraform = named(("terraform", "tofu"))
    for _ in range(50):
        with subprocess.Popen([program, "60"]) as begun:
            try:
                assert is_terraform(psutil.Process(begun.pid))
            finally:
                begun.kill()


def test_what_only_looks_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    """What has its output open would be read for as long as it lives, and hold up who ends."""
    pid = tmp_path / "pid"
    script = f"sleep 900 & echo $! > {pid}.new && mv {pid}.new {pid}; wait"
    began = time.monotonic()

    async def look() -> None:
        asked = asyncio.ensure_future(read(["/bin/sh", "-c", script], tmp_path, {}))
        while not pid.exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
        await asyncio.wait_for(asked, 0.1)

    with pytest.raises(TimeoutError):
        asyncio.run(look())
    assert time.monotonic() - began < 200
    until(lambda: is_gone(int(pid.read_text())), "what it has started is gone")


def is_gone(pid: int) -> bool:
    """Killed, whether or not anybody has asked for its end: that is up to who has adopted it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
