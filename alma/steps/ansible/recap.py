"""How a playbook ended: what its events say, and whether that proves anything."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alma.core.events import Failure
from alma.steps.ansible.play import UNSTARTED

_FAILED: Final = ("runner_on_failed", "runner_on_unreachable")
_RUN: Final = ("runner_on_ok", "runner_on_failed", "runner_on_skipped")
_GATHERING: Final = ("gather_facts", "ansible.builtin.gather_facts")
"""A play does this by itself: it is no task that somebody wrote."""
_REFUSED: Final = (1, 4, 5)
"""Exit codes of Ansible's own errors, and of its options'."""
_PRINTED: Final = "verbose"
"""The event of a line that is of no other event."""
_COUNTS: Final = {"ok": "ok", "changed": "changed", "failures": "failed", "dark": "unreachable"}
"""Fields of the stats event, and what a play's recap calls them."""


@dataclass(kw_only=True)
class PlaybookResult:
    """How a playbook ended: the stats of all hosts together, and what `set_stats` said.

    `recap`: whether the stats came at all. `unmatched` are the patterns of plays that matched no
    host, `unreached` the hosts that were not reached, whatever the playbook makes of that; `tasks`
    counts those that a host has run or skipped.
    """

    code: int
    recap: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    said: str = ""
    unmatched: list[str] = field(default_factory=list)
    unreached: frozenset[str] = frozenset()
    tasks: int = 0
    began: bool = True
    """False when it is certain that Ansible has not come as far as a play."""

    def failure(self, optional: Collection[str] = (), *, undo: bool = False) -> Failure | None:
        """None only when Ansible says so, its stats do, and it has reached whom it names.

        Ansible is content with a play that matches nobody, unless its pattern is `optional`. A
        host that a playbook may miss (`ignore_unreachable`) an undo must reach all the same.
        """
        missed = self._missed() if undo else None
        return self._failed() or missed or self._reached_nobody(optional)

    def _reached_nobody(self, optional: Collection[str]) -> Failure | None:
        hint = ""
        if not self.recap:
            words = "Ansible has ended without a recap, so nobody knows what it has done"
            hint = "Is another stdout callback set, in ansible.cfg or in the environment?"
        elif unmatched := [pattern for pattern in self.unmatched if pattern not in optional]:
            words = f'the pattern "{unmatched[0]}" of a play matched no host'
            hint = f"Look at the inventory. If it may be so: optional_hosts=[{unmatched[0]!r}]."
        elif not self.tasks:
            words = "no task of it was run on any host"
        else:
            return None
        return Failure(kind="unverified", message=words, hint=hint)

    def _missed(self) -> Failure | None:
        if not self.unreached:
            return None
        words = f"{', '.join(sorted(self.unreached))} was not reached, so nothing was undone there"
        return Failure(kind="unverified", message=words)

    def _failed(self) -> Failure | None:
        failed = self.counts.get("failed", 0) + self.counts.get("unreachable", 0)
        if self.code == 0 and not failed:
            return None
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        words = self.errors[0] + more if self.errors else self.said
        words = words or f"ansible-playbook ended with exit code {self.code}"
        return Failure(kind="provider" if self.errors else "program", message=words)

    def take_stats(self, data: Mapping[str, Any]) -> None:
        """The event at the end of a playbook."""
        self.recap = True
        self.outputs = dict(data.get("artifact_data") or {})
        for name, word in _COUNTS.items():
            total = sum((data.get(name) or {}).values())
            if total:
                self.counts[word] = total


def read(private: Path, code: int) -> PlaybookResult:
    """What Ansible has told of a playbook, in its private directory."""
    played = PlaybookResult(code=code)
    items: dict[str, str] = {}
    told = False
    for event in _events(private / "artifacts" / "play" / "job_events"):
        data = event.get("event_data") or {}
        kind = event.get("event")
        told = told or kind != _PRINTED
        if kind == "playbook_on_stats":
            played.take_stats(data)
        elif kind == "playbook_on_no_hosts_matched":
            played.unmatched.append(str(data.get("play_pattern") or data.get("play")))
        elif kind == "runner_item_on_failed":
            items.setdefault(str(data.get("task_uuid")), _told(data))
        elif kind in _FAILED and not data.get("ignore_errors"):
            # Of a loop the task as a whole says only that an item failed.
            played.errors.append(items.get(str(data.get("task_uuid"))) or _told(data))
        if kind == "runner_on_unreachable":
            played.unreached |= {str(data.get("host"))}
        elif kind in _RUN and data.get("task_action") not in _GATHERING:
            played.tasks += 1
    for name in ("artifacts/play/stdout", "host.log"):
        if not played.said:
            played.said = _last_error(text_of(private / name))
    printed = text_of(private / "artifacts" / "play" / "stdout")
    refused = code in _REFUSED and bool(printed) and "PLAY [" not in printed
    played.began = told or not (refused or code == UNSTARTED)
    return played


def _events(directory: Path) -> Iterator[Mapping[str, Any]]:
    found = []
    for path in directory.glob("*.json"):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            continue  # What they all come to is in the stats; without these, nothing is proven.
    yield from sorted(found, key=lambda event: event.get("counter", 0))


def _told(data: Mapping[str, Any]) -> str:
    result = data.get("res") or {}
    parts = (result.get("msg"), result.get("stderr"), result.get("stdout"))
    words = next((str(part).strip() for part in parts if part), "it failed")
    if result.get("stderr") and str(result["stderr"]) not in words:
        words = f"{words}: {str(result['stderr']).strip()}"
    return f'task "{data.get("task", "")}" on {data.get("host", "")}: {words}'


def _last_error(text: str) -> str:
    lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("[ERROR]", "ERROR!", "ERROR:"))]
    return (errors or lines[-1:] or [""])[0]


def plain(text: str) -> str:
    """What Ansible prints, without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m|\r", "", text)


def text_of(path: Path) -> str:
    """The text of a file; of none, nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
