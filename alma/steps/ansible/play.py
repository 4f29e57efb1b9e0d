"""One playbook by ansible-runner, in a process of its own: `python -P play.py DIRECTORY`.

The directory is ansible-runner's private one, with `alma.json`: playbook, inventory, and the
directory that it is played in. SIGINT is passed on to Ansible, once for each. Run as a script, it
imports nothing of alma.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

INTERRUPTED: Final = 130
"""Exit code by the shells' convention: 128 and SIGINT."""
UNSTARTED: Final = 125
"""Exit code where Ansible was not even started, as of `env` and its like."""


def main(directory: str) -> int:
    """Play it; Ansible's exit code."""
    signal.signal(signal.SIGINT, _pass_on)
    parent = os.getppid()
    told_of: list[dict[str, str]] = []
    try:
        from ansible_runner import Runner, RunnerConfig

        task = json.loads(Path(directory, "alma.json").read_text())
        config = RunnerConfig(
            private_data_dir=directory,
            project_dir=task["directory"],
            playbook=task["playbook"],
            inventory=task["inventory"] or None,
            ident="play",
            quiet=True,
        )
        config.prepare()
        runner = Runner(config=config, status_handler=lambda told, **_: told_of.append(told))
        runner.run()
    except Exception:
        if any(told["status"] == "running" for told in told_of):  # said right before its start
            raise
        traceback.print_exc()
        return UNSTARTED
    if os.getppid() != parent:
        # Nobody is left to read it, and it holds what the playbook was given.
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if runner.rc is None else int(runner.rc)


def _pass_on(_signal: int, _frame: FrameType | None) -> None:
    children = psutil.Process().children()
    if not children:
        os._exit(INTERRUPTED)
    for child in children:
        child.send_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
