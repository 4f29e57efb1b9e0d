"""A playbook as an operation: its variables in a private directory, its log without secrets."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alma.core.redaction import Redactor
from alma.core.secret import unwrap
from alma.errors import ToolError
from alma.steps.ansible.recap import PlaybookResult, plain, read, text_of
from alma.system import files
from alma.system.environment import ANSIBLE, PYTHON, in_utf8, without_flags
from alma.system.programs import Command, ProgramRunner
from alma.system.programs import read as look
from alma.system.scratch import scratch

PROGRAMS: Final = ("ansible-playbook", "play.py")
"""What works for an operation, as its process list shows it."""
_MARKED: Final = re.compile(r"^(\[ERROR\]:?|ERROR[!:]) *")
_STARTS: Final = 300.0
"""Seconds to play nothing: it takes two, and half a minute where many are at work."""
_NO_SOCKET: Final = "Local RPC server did not start"
"""What Ansible says (seen in 2.21) where it cannot make its socket, under TMPDIR."""


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


async def require_start(directory: Path, environ: Mapping[str, str]) -> None:
    """Raises ToolError where Ansible is missing or cannot start: it plays nothing on nobody.

    Its home, its locale, its ansible.cfg and the callbacks that this names are looked at by Ansible
    itself, each time anew.
    """
    require(environ)
    passed = _environment(environ)
    if odd := [name for name, value in passed.items() if not _is_text(value)]:
        raise ToolError(
            f"Ansible cannot be given the environment variable {odd[0]}: its value is no UTF-8.",
            hint="Unset it, or give it a value that is.",
        )
    with scratch("play") as private:
        playbook = private / "nothing.yml"
        _write(playbook, [{"hosts": "localhost", "gather_facts": False, "tasks": []}])
        argv = _task(private, playbook, "localhost,", directory)
        try:
            code, _, said = await asyncio.wait_for(look(argv, directory, passed), _STARTS)
        except TimeoutError as error:
            raise ToolError(
                f"Ansible cannot start in {directory}: it plays nothing on nobody, and has not "
                f"ended within {_STARTS:g} s.",
                hint="See that `ansible-playbook --version` answers there, and what it waits for.",
            ) from error
        played = read(private, code)
    if code != 0 or not played.recap:
        words = played.said or next(iter(said.strip().splitlines()[-1:]), f"exit code {code}")
        hint = "Mend that, and see that `ansible-playbook --version` answers there."
        if _NO_SOCKET in words:
            hint = f"It has a socket under {tempfile.gettempdir()}: set TMPDIR to a shorter path."
        raise ToolError(
            f"Ansible cannot start in {directory}: {_MARKED.sub('', words).rstrip('.')}.", hint=hint
        )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


async def play(
    playbook: Path, inventory: str, values: Mapping[str, Any], logs: Path, programs: ProgramRunner
) -> PlaybookResult:
    """Play it. What is secret is in `logs/private` (0700) as long as it runs, and removed then."""
    redact = programs.operation.redact
    redact.learn(list(values.values()))
    private = logs / files.PRIVATE
    files.make_new_directory(logs)
    files.make_directory(private / "env")
    try:
        _write(private / "env" / "extravars", dict(unwrap(dict(values))))
        command = Command(
            argv=_task(private, playbook, inventory, playbook.parent),
            cwd=playbook.parent,
            environment=_environment(os.environ),
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
    shutil.rmtree(logs / files.PRIVATE, ignore_errors=True)


def _task(private: Path, playbook: Path, inventory: str, directory: Path) -> list[str]:
    """The command that plays it in that directory, which is where its ansible.cfg is."""
    told = {"playbook": str(playbook), "inventory": inventory, "directory": str(directory)}
    _write(private / "alma.json", told)
    return [sys.executable, "-P", str(Path(__file__).with_name("play.py")), str(private)]


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    # No PYTHONPATH of ours: what Ansible runs may have another interpreter.
    passed = in_utf8(without_flags(environ, ANSIBLE, PYTHON))
    return {**passed, "PATH": _path(environ), "ANSIBLE_RETRY_FILES_ENABLED": "0"}


def _path(environ: Mapping[str, str]) -> str:
    """Scripts that were installed beside this interpreter are found without an activation."""
    return os.pathsep.join(filter(None, [str(Path(sys.executable).parent), environ.get("PATH")]))


def _write(path: Path, content: Any) -> None:
    files.replace(path, json.dumps(content), durable=False)


def _keep(private: Path, logs: Path, redact: Redactor) -> None:
    """What Ansible printed, without secrets."""
    text = "".join(text_of(private / name) for name in ("artifacts/play/stdout", "host.log"))
    with files.open_log(logs / "ansible.log") as log:
        log.write(redact(plain(text)).encode())
