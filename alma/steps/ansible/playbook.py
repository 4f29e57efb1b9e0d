"""A playbook as an operation: its variables in a private directory, its log without secrets."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alma.core.events import Failure
from alma.core.redaction import Redactor
from alma.core.secret import unwrap
from alma.errors import ToolError
from alma.system import files
from alma.system.environment import ANSIBLE, PYTHON, in_utf8, without_flags
from alma.system.programs import Command, ProgramRunner

PROGRAMS: Final = ("ansible-playbook", "play.py")
"""What works for an operation, as its process list shows it."""
_PRIVATE: Final = "private"
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|\r")
_FAILED: Final = ("runner_on_failed", "runner_on_unreachable")
_COUNTS: Final = {"ok": "ok", "changed": "changed", "failures": "failed", "dark": "unreachable"}
"""Fields of the stats event, and what a play's recap calls them."""


@dataclass(kw_only=True)
class PlaybookResult:
    """How a playbook ended: the stats of all hosts together, and what `set_stats` said."""

    code: int
    counts: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    said: str = ""

    @property
    def failure(self) -> Failure | None:
        """None only when Ansible says so and its stats do: no host failed, none was missed."""
        failed = self.counts.get("failed", 0) + self.counts.get("unreachable", 0)
        if self.code == 0 and not failed:
            return None
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        words = self.errors[0] + more if self.errors else self.said
        words = words or f"ansible-playbook ended with exit code {self.code}"
        return Failure(kind="provider" if self.errors else "program", message=words)


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
        played = _read(private, -1 if code is None else code)
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


def _read(private: Path, code: int) -> PlaybookResult:
    played = PlaybookResult(code=code)
    items: dict[str, str] = {}
    for event in _events(private / "artifacts" / "play" / "job_events"):
        data = event.get("event_data") or {}
        kind = event.get("event")
        if kind == "playbook_on_stats":
            played.outputs = dict(data.get("artifact_data") or {})
            for name, word in _COUNTS.items():
                total = sum((data.get(name) or {}).values())
                if total:
                    played.counts[word] = total
        elif kind == "runner_item_on_failed":
            items.setdefault(str(data.get("task_uuid")), _told(data))
        elif kind in _FAILED and not data.get("ignore_errors"):
            # Of a loop the task as a whole says only that an item failed.
            played.errors.append(items.get(str(data.get("task_uuid"))) or _told(data))
    for name in ("artifacts/play/stdout", "host.log"):
        if not played.said:
            played.said = _last_error(_text(private / name))
    return played


def _events(directory: Path) -> Iterator[Mapping[str, Any]]:
    found = []
    for path in directory.glob("*.json"):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    yield from sorted(found, key=lambda event: event.get("counter", 0))


def _told(data: Mapping[str, Any]) -> str:
    result = data.get("res") or {}
    parts = (result.get("msg"), result.get("stderr"), result.get("stdout"))
    words = next((str(part).strip() for part in parts if part), "it failed")
    if result.get("stderr") and str(result["stderr"]) not in words:
        words = f"{words}: {str(result['stderr']).strip()}"
    return f'task "{data.get("task", "")}" on {data.get("host", "")}: {words}'


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("[ERROR]", "ERROR!"))]
    return (errors or lines[-1:] or [""])[0]


def _keep(private: Path, logs: Path, redact: Redactor) -> None:
    """What Ansible printed, without secrets."""
    text = "".join(_text(private / name) for name in ("artifacts/play/stdout", "host.log"))
    with files.open_log(logs / "ansible.log") as log:
        log.write(redact(_COLOURS.sub("", text)).encode())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
