"""A playbook as an operation: its variables in a private directory, its log without secrets."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alma.core.redaction import Redactor
from alma.core.secret import unwrap
from alma.errors import ToolError
from alma.steps.ansible.recap import PlaybookResult, read, text_of
from alma.system import files
from alma.system.environment import ANSIBLE, PYTHON, in_utf8, without_flags
from alma.system.programs import Command, ProgramRunner

PROGRAMS: Final = ("ansible-playbook", "play.py")
"""What works for an operation, as its process list shows it."""
_PRIVATE: Final = "private"
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|\r")


def require(environ: Mapping[str, str]) -> None:
    """Raises ToolError where ansible-runner or ansible-playbook is missing."""
    hint = "pip install 'alma-pulumi[ansible]'"
    if importlib.util.find_spec("ansible_runner") is None:
        raise ToolError(
            "A step by Ansible needs ansible-runner, which is not installed.", hint=hint
        )
    if shutil.which("ansible-playbook", path=_path(environ)) is None:
        raise ToolError(
            "A step by Ansible needs ansible-playbook, and it is not on PATH.", hint=hint
        )


async def play(
    playbook: Path, inventory: str, values: Mapping[str, Any], logs: Path, programs: ProgramRunner
) -> PlaybookResult:
    """Play it. What is secret is in `logs/private` (0700) as long as it runs, and removed then."""
    redact = Redactor()
    redact.learn(list(values.values()))
    private = logs / _PRIVATE
    files.make_directory(private / "env")
    try:
        _write(private / "env" / "extravars", dict(unwrap(dict(values))))
        _write(private / "alma.json", {"playbook": str(playbook), "inventory": inventory})
        command = Command(
            argv=[sys.executable, "-P", str(Path(__file__).with_name("play.py")), str(private)],
            cwd=playbook.parent,
            environment=_environment(),
            output=private / "host.log",
        )
        code = await programs.run(command)
        played = read(private, -1 if code is None else code)
        _keep(private, logs, redact)
    except BaseException:
        if not programs.running:
            clean(logs)
        raise
    clean(logs)
    return played


def clean(logs: Path) -> None:
    """Remove what a playbook was given, and its raw output."""
    shutil.rmtree(logs / _PRIVATE, ignore_errors=True)


def _environment() -> dict[str, str]:
    # No PYTHONPATH of ours: what Ansible runs may have another interpreter.
    passed = in_utf8(without_flags(os.environ, ANSIBLE, PYTHON))
    return {**passed, "PATH": _path(os.environ), "ANSIBLE_RETRY_FILES_ENABLED": "0"}


def _path(environ: Mapping[str, str]) -> str:
    """Scripts that were installed beside this interpreter are found without an activation."""
    return os.pathsep.join(filter(None, [str(Path(sys.executable).parent), environ.get("PATH")]))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    files.replace(path, json.dumps(content), durable=False)


def _keep(private: Path, logs: Path, redact: Redactor) -> None:
    """What Ansible printed, without secrets."""
    text = "".join(text_of(private / name) for name in ("artifacts/play/stdout", "host.log"))
    with files.open_log(logs / "ansible.log") as log:
        log.write(redact(_COLOURS.sub("", text)).encode())
