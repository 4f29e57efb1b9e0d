"""Where trials run: the stub on a PATH of its own, and the zygote that makes runners."""

from __future__ import annotations

import json
import os
import py_compile
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from alma.journal import open_journal
from alma.journal.address import Address, PostgresUrl
from alma.journal.encryption import KEY
from tests import pulumi_command
from tests.faults.model import stores
from tests.memory import in_memory
from tests.services.states import FileStates, States
from tests.vault import vault

ROOT: Final = Path(__file__).parents[3]
PATIENCE: Final = 600.0
"""Seconds that a runner may take: far more than any does, however busy the machine is."""


@dataclass
class Bench:
    """`tools` holds the stub as `pulumi`; every trial gets a directory under `scratch`."""

    scratch: Path
    tools: Path
    zygote: subprocess.Popen[bytes]
    real: bool = False
    states: States | None = None
    answers: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    exits: dict[int, int] = field(default_factory=dict)
    journals: dict[Path, Address] = field(default_factory=dict)
    opened: ExitStack = field(default_factory=ExitStack)

    def journal(self, directory: Path) -> Address:
        """Where that trial's journal is: in its directory, or where `stores` says."""
        if directory not in self.journals:
            place = self.opened.enter_context(stores.place(directory / "journal.db"))
            if isinstance(place, PostgresUrl):  # a kill is to hit the run, not the making of tables
                open_journal(place, write=True).close()
            self.journals[directory] = place
        return self.journals[directory]

    def environ(self, directory: Path) -> dict[str, str]:
        """What a runner of that trial sees."""
        home = str(self.scratch / "home")
        return {
            "PATH": os.pathsep.join((str(self.tools), os.environ["PATH"])),
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_STATE_HOME": str(directory / "xdg"),
            "PULUMI_HOME": os.environ.get("PULUMI_HOME", f"{home}/.pulumi"),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "STUB_WORLD": str(directory / "world"),
            **self._backend(directory.name),
            # The keys of real stacks are in a vault, and what is short-lived keeps its garbage: a
            # passphrase and the collector take most of what a CLI of the real ones does.
            **({"GOGC": "off"} if self.real else {"PULUMI_CONFIG_PASSPHRASE": "stub"}),
            # Of all hosts, where journals are shared.
            **({KEY: os.environ[KEY]} if KEY in os.environ else {}),
        }

    def kept(self, directory: Path) -> dict[str, bytes]:
        """What the backend of that trial holds, by its path there."""
        return (self.states or FileStates(self.scratch)).kept(directory.name)

    def _backend(self, name: str) -> dict[str, str]:
        if self.states is None:
            return {}
        return {**self.states.environment(), "PULUMI_BACKEND_URL": self.states.url(name)}

    def start(self, directory: Path, operation: str, journal: Path | None = None) -> int:
        """Start a runner; its pid."""
        where = journal or self.journal(directory)
        whole = where.whole if isinstance(where, PostgresUrl) else str(where)
        task = {"directory": str(directory), "operation": operation, "journal": whole}
        task["environ"] = self.environ(directory)  # type: ignore[assignment]
        assert self.zygote.stdin is not None
        self.zygote.stdin.write(json.dumps(task).encode() + b"\n")
        self.zygote.stdin.flush()
        while "exit" in (answer := self.answers.get(timeout=PATIENCE)):
            self.exits[answer["pid"]] = answer["exit"]
        return int(answer["pid"])

    def wait(self, pid: int, seconds: float = PATIENCE) -> int | None:
        """The exit code of a runner, or None if it still runs after that many seconds."""
        deadline = time.monotonic() + seconds
        while pid not in self.exits:
            try:
                answer = self.answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            self.exits[answer["pid"]] = answer["exit"]
        return self.exits[pid]

    def listen(self, stream: IO[bytes]) -> None:
        """Take the zygote's answers, in a thread."""
        for line in stream:
            self.answers.put(json.loads(line))


@contextmanager
def bench(*, real: bool = False, states: States | None = None) -> Iterator[Bench]:
    """A bench in memory where there is some; everything is gone afterwards.

    With `real` the CLI is the one that PATH gives, by way of the tests' `pulumi`, not the stub.
    `states` is where stacks keep their state, if that is not each trial's own directory.
    """
    root = tempfile.mkdtemp(prefix="alma-stub-", dir=in_memory())
    scratch, tools = Path(root), Path(root, "bin")
    (scratch / "home").mkdir()
    tools.mkdir()
    opened = ExitStack()
    if not real:
        install(tools)
    elif found := shutil.which("pulumi"):
        pulumi_command.install(tools, str(Path(found).absolute()), opened.enter_context(vault()))
    zygote = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.stub.zygote"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(scratch / "home")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    made = Bench(scratch, tools, zygote, real, states, opened=opened)
    listener = threading.Thread(target=made.listen, args=(zygote.stdout,), daemon=True)
    listener.start()
    try:
        yield made
    finally:
        made.opened.close()
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        zygote.stdin.close()
        try:
            zygote.wait(10)
        except subprocess.TimeoutExpired:
            zygote.kill()
            zygote.wait()
        listener.join(10)
        zygote.stdout.close()
        shutil.rmtree(root, ignore_errors=True)


_START: Final = """\
import sys
sys.path.insert(0, {tools!r})
import stub_cli
sys.exit(stub_cli.main(sys.argv[1:]))
"""


def install(tools: Path) -> None:
    """Put the stub there as `pulumi`, compiled, and run by the interpreter that starts the fastest.

    Without `site`, which takes longer than all that the stub does.
    """
    python = getattr(sys, "_base_executable", sys.executable)
    module = tools / "stub_cli.py"
    shutil.copy(Path(__file__).parent / "pulumi.py", module)
    py_compile.compile(str(module), doraise=True)
    path = tools / "pulumi"
    path.write_text(f"#!{python} -IS\n{_START.format(tools=str(tools))}")
    path.chmod(0o755)


def living(directory: Path, *, real: bool = False) -> dict[str, list[int]]:
    """The processes of a trial that live, by role, the newest last."""
    found: dict[str, list[int]] = {"cli": [], "worker": [], "plugin": []}
    entries = sorted((directory / "world" / "pids").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    for entry in entries:
        role, _, pid = entry.name.partition("-")
        if _lives(int(pid), directory):
            found[role].append(int(pid))
    if real:
        for pid in sorted(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()):
            role = _role(pid, directory)
            if role:
                found[role].append(pid)
    return found


def _lives(pid: int, directory: Path) -> bool:
    """It runs, is no zombie, and is this trial's: its working directory or environment is."""
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        if stat.rpartition(") ")[2][0] == "Z":
            return False
        where = Path(f"/proc/{pid}/cwd").readlink()
        return _is_of(pid, directory) or where.is_relative_to(directory)
    return False


def _is_of(pid: int, directory: Path) -> bool:
    mark = f"STUB_WORLD={directory / 'world'}".encode()
    return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def _role(pid: int, directory: Path) -> str:
    """Of what the real CLI started: itself, or a plugin with its helpers."""
    with suppress(OSError):
        if not _is_of(pid, directory) or not _lives(pid, directory):
            return ""
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return "cli" if arguments[0].endswith(b"/pulumi") else "plugin"
    return ""


def kill(pid: int) -> bool:
    """SIGKILL; False when it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
