"""A saga, its workers as processes of their own, and what they have done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from alma.core.events import Event, OperationIntended, Recorded
from alma.core.run import RunStatus
from alma.journal import open_journal
from alma.journal.address import address_of
from alma.journal.reading import load_run
from tests.services.temporal import Temporal
from tests.temporal.replaying import opened
from tests.waiting import until

PATIENCE = 90
HEARTBEAT = 3.0
SAGA = """
import os, time
from pathlib import Path
from alma import Saga, Secret

HERE = Path(__file__).parent
saga = Saga({name!r}, stack="dev")

def note(what):
    with (HERE / "notes").open("a") as file:
        file.write(f"{{what}} {{os.getpid()}}\\n")
    while (HERE / f"hold {{what}}").exists():
        time.sleep(0.05)
    if (HERE / f"fail {{what}}").exists():
        raise RuntimeError("canary-in-an-error")

{steps}
"""
STEPS = """
def do_a(c):
    note("do a")
    return {"url": "canary-in-an-output", "key": Secret("canary-in-a-secret")}
def undo_a(c): note("undo a")
def do_b(c): note("do b")
def undo_b(c): note("undo b")
def do_c(c): note("do c")
def undo_c(c): note("undo c")
a = saga.add_step("a", do_a, undo_a)
b = saga.add_step("b", do_b, undo_b, inputs={"key": a.output("key")})
saga.add_step("c", do_c, undo_c)
"""


@dataclass
class Stage:
    """One test's directory: its saga's file, its journal, and marks that its steps look at."""

    directory: Path
    temporal: Temporal
    journal: str
    name: str = field(default_factory=lambda: f"saga-{uuid4().hex[:8]}")
    stack: str = "dev"
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def target(self) -> str:
        return f"{self.name}/{self.stack}"

    def write(self, steps: str = STEPS, name: str = "saga.py") -> Path:
        path = self.directory / name
        path.write_text(SAGA.format(name=self.name, steps=steps))
        return path

    def hold(self, what: str) -> None:
        (self.directory / f"hold {what}").touch()

    def let_go(self, what: str) -> None:
        (self.directory / f"hold {what}").unlink()

    def fail(self, what: str) -> None:
        (self.directory / f"fail {what}").touch()

    def mend(self, what: str) -> None:
        (self.directory / f"fail {what}").unlink()

    @property
    def notes(self) -> list[str]:
        """What was done, in order."""
        return [line.rpartition(" ")[0] for line in self._notes()]

    def doers(self, what: str) -> list[int]:
        """The pids of those who did it."""
        return [int(line.split()[-1]) for line in self._notes() if line.rpartition(" ")[0] == what]

    def _notes(self) -> list[str]:
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def begun(self, what: str, times: int = 1) -> None:
        """Wait until it was begun so often."""
        until(lambda: self.notes.count(what) >= times, f"{what}, {times} times")

    # -- processes -------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("TEMPORAL", "ALMA_T"))}
        return {
            **plain,
            "ALMA_TEMPORAL": self.temporal.address,
            "ALMA_TEMPORAL_HEARTBEAT": str(HEARTBEAT),
            "ALMA_JOURNAL": self.journal,
        }

    def worker(
        self, *options: str, target: str = "saga.py", **more: str
    ) -> subprocess.Popen[bytes]:
        """A worker that is ready."""
        log = self.directory / f"worker-{len(self.started)}.log"
        worker = self._start(["worker", target, *options], log, more)
        until(lambda: b"serves" in log.read_bytes() or worker.poll() is not None, "a worker")
        assert worker.poll() is None, log.read_text()
        return worker

    def said(self) -> str:
        """All that workers have said."""
        return "".join(path.read_text() for path in sorted(self.directory.glob("worker-*.log")))

    def begin(self, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """A command that goes on while the test does."""
        log = self.directory / f"command-{len(self.started)}.log"
        return self._start(list(words or ("up", "saga.py", "--yes")), log, more)

    def call(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "alma", *words],
            cwd=self.directory,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        return self.call("up", "saga.py", "--yes")

    def ended(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{process.args} goes on: {self.said()}") from None

    def _start(
        self, words: list[str], log: Path, more: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "alma", *words],
                cwd=self.directory,
                env={**self.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        self.started.append(process)
        return process

    def close(self) -> None:
        for path in self.directory.glob("hold *"):
            path.unlink()
        for process in self.started:
            with suppress(psutil.NoSuchProcess):
                for one in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
            process.kill()
            process.wait()

    # -- what is told --------------------------------------------------------------------------

    @property
    def run(self) -> RunStatus:
        """How the newest run stands."""
        with open_journal(address_of(self.journal), write=False) as journal:
            return load_run(journal, journal.resolve("latest"))

    @property
    def events(self) -> list[Event]:
        with open_journal(address_of(self.journal), write=False) as journal:
            recorded: list[Recorded] = journal.events(journal.resolve("latest"))
        return [one.event for one in recorded]

    def intents(self, step: str) -> list[OperationIntended]:
        """The operations of a step."""
        found = (one for one in self.events if isinstance(one, OperationIntended))
        return [one for one in found if one.step == step]

    def is_known(self) -> bool:
        """Whether there is a run."""
        with open_journal(address_of(self.journal), write=False) as journal:
            return bool(journal.runs())

    @property
    def workflow(self) -> str:
        return f"alma/{self.target}"

    def histories(self) -> list[dict[str, Any]]:
        """Of each run of its workflow, as Temporal exports it; the newest one comes first."""
        which = ("-q", f"WorkflowId = '{self.workflow}'")
        listed = json.loads(self.temporal.cli("workflow", "list", *which, "-o", "json"))
        runs = (one["execution"]["runId"] for one in listed)
        show = ("workflow", "show", "-w", self.workflow, "-o", "json", "-r")
        return [json.loads(self.temporal.cli(*show, run)) for run in runs]

    def exported(self) -> str:
        """All that Temporal has of its workflow, as it is, and once it is opened."""
        described = self.temporal.cli("workflow", "describe", "-w", self.workflow, "-o", "json")
        told = [json.loads(described), *self.histories()]
        with open_journal(address_of(self.journal), write=False) as journal:
            return json.dumps(told) + opened(told, journal.keys)


def kill(process: subprocess.Popen[bytes]) -> None:
    """With -9, it alone: what it has started goes on."""
    process.send_signal(signal.SIGKILL)
    process.wait()
