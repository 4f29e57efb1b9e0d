"""Where a run's time goes: its processes, and the journal's events, on one time line."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tests.benchmarks.room import House, Room
from tests.benchmarks.timing import timed

WRAPPER = """\
#!/usr/bin/env bash
echo "begin $$ $EPOCHREALTIME $*" >>"{log}"
"{pulumi}" "$@"
code=$?
echo "end $$ $EPOCHREALTIME" >>"{log}"
exit $code
"""

_KNOW_VERSION = "from alma.pulumi.cli import find_cli; find_cli()"
"""It is asked once for each installed CLI, and the wrapper is one that was never seen before."""


@dataclass(frozen=True)
class Span:
    """A process from its start to its end, in seconds of the run."""

    label: str
    kind: str
    begin: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """The spans, and the moments at which events were committed."""

    seconds: float
    spans: list[Span]
    marks: list[tuple[float, str]]


def trace(house: House, commands: Sequence[Sequence[str]]) -> Timeline:
    """Run the commands in one room; the last one is looked at. The look costs a shell per CLI."""
    with house.room() as room:
        log = room.path / "cli.log"
        wrapped = _wrap(room, str(log))
        timed(wrapped, [sys.executable, "-c", _KNOW_VERSION])
        for command in commands[:-1]:
            timed(wrapped, command)
        log.unlink(missing_ok=True)
        began = time.time()
        seconds, _ = timed(wrapped, commands[-1])
        marks = _marks(room, began)
        text = log.read_text() if log.exists() else ""
        spans = [*_cli_spans(text, began), *_workers(room, began, seconds)]
    whole = Span("the whole process", "runner", 0.0, seconds)
    return Timeline(seconds, [whole, *sorted(spans, key=lambda span: span.begin)], marks)


def _wrap(room: Room, log: str) -> Room:
    folder = room.path / "bin"
    folder.mkdir()
    pulumi = shutil.which("pulumi", path=room.environment["PATH"])
    (folder / "pulumi").write_text(WRAPPER.format(log=log, pulumi=pulumi))
    (folder / "pulumi").chmod(0o755)
    path = f"{folder}:{room.environment['PATH']}"
    return replace(room, environment={**room.environment, "PATH": path})


def _cli_spans(log: str, began: float) -> list[Span]:
    begun: dict[str, tuple[float, str]] = {}
    spans = []
    for line in log.splitlines():
        what, pid, at, *words = line.split()
        if what == "begin":
            begun[pid] = float(at) - began, _label(words)
        else:
            begin, label = begun.pop(pid)
            spans.append(Span(label, "cli", begin, float(at) - began))
    return spans


def _label(words: Sequence[str]) -> str:
    plain = [word for word in words if not word.startswith("-")]
    return "pulumi " + " ".join(plain[:2] if plain[0] in ("stack", "config") else plain[:1])


def _rows(room: Room) -> list[tuple[str, str, str, str]]:
    if not room.journal().exists():  # an arm without alma
        return []
    connection = sqlite3.connect(room.journal())
    last = "SELECT run FROM runs ORDER BY position DESC LIMIT 1"
    query = f"SELECT at, type, step, data FROM events WHERE run = ({last}) ORDER BY seq"  # noqa: S608
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def _marks(room: Room, began: float) -> list[tuple[float, str]]:
    return [
        (datetime.fromisoformat(at).timestamp() - began, f"{kind} {step}".strip())
        for at, kind, step, _ in _rows(room)
    ]


def _workers(room: Room, began: float, end: float) -> list[Span]:
    known: dict[int, float] = {}
    for _, kind, _, data in _rows(room):
        fields = json.loads(data)
        if kind == "ProcessSpawned" and fields["role"] == "worker":
            known[fields["process"]["pid"]] = fields["process"]["started"] - began
    return [Span("worker", "worker", at, end) for at in known.values()]


def lines(line: Timeline) -> list[str]:
    """The same as text."""
    spans = [f"{s.begin:7.3f} - {s.end:7.3f}  {s.label}" for s in line.spans]
    return [*spans, *(f"{at:7.3f}            {what}" for at, what in line.marks)]
