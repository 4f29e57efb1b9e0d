"""One playbook by ansible-runner, in a process of its own: `python -P play.py DIRECTORY`.

The directory is ansible-runner's private one, with `alma.json`: playbook and inventory. SIGINT
is passed on to Ansible, once for each. Run as a script, it imports nothing of alma.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

INTERRUPTED: Final = 130
"""Exit code by the shells' convention: 128 and SIGINT."""


def main(directory: str) -> int:
    """Play it; Ansible's exit code."""
    signal.signal(signal.SIGINT, _pass_on)
    parent = os.getppid()
    from ansible_runner import Runner, RunnerConfig

    task = json.loads(Path(directory, "alma.json").read_text())
    playbook = Path(task["playbook"])
    config = RunnerConfig(
        private_data_dir=directory,
        project_dir=str(playbook.parent),
        playbook=str(playbook),
        inventory=task["inventory"] or None,
        ident="play",
        quiet=True,
    )
    config.prepare()
    runner = Runner(config=config)
    runner.run()
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
