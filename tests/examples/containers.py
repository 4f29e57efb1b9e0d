"""Machines that are thrown away: namespaces of their own, and files that nobody else has.

What two of them share is what they reach over the network.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.waiting import until

START = r"""
set -e
hostname "$1"
mount --make-rprivate /
mount -t tmpfs none "$2"
mkdir -p "$2/home" "$2/tmp"
cp -r "$3" "$2/checkout"
cd "$2/checkout"
set -m  # else what is started in the background is deaf to SIGINT
bash -e "$4" < /dev/null &
set +m
echo begun > "$5"
wait $!
"""
PATIENCE = 300
"""Seconds for what takes some: below the time limit of a test, so that the output is shown."""
CANCELLED = ((7.5, "terminate"), (2.5, "kill"))
"""What follows the SIGINT of a cancelled job, and after how many seconds."""


@dataclass
class Machine:
    """One job's. `notes` is the directory in which its scripts and what it says are kept."""

    name: str
    notes: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """All that was printed on it."""
        return (self.notes / f"{self.name}.out").read_text()

    def ended(self) -> int:
        """The exit code of its job, once that has ended."""
        return self.process.wait(timeout=PATIENCE)

    def cancel(self) -> None:
        """Cancel its job as CI does, then throw the machine away: all its processes end."""
        (job,) = self._init().children()
        job.send_signal(signal.SIGINT)
        for seconds, act in CANCELLED:
            try:
                self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                getattr(job if act == "terminate" else self._init(), act)()
        self.process.wait(timeout=PATIENCE)

    def destroy(self) -> None:
        """As a machine whose power is cut."""
        if self.process.poll() is None:
            self._init().kill()
            self.process.wait(timeout=PATIENCE)

    def _init(self) -> psutil.Process:
        """The first process in its namespace: when that ends, all others are killed."""
        (init,) = psutil.Process(self.process.pid).children()
        return init


@dataclass
class Machines:
    """Each is made for one job, in a directory that looks the same on all of them."""

    directory: Path
    checkout: Path
    environment: Mapping[str, str]
    made: list[Machine] = field(default_factory=list)

    def run(self, name: str, script: str, **more: str) -> Machine:
        """Begin a job on a machine of this name."""
        notes = self.directory / "notes"
        place = self.directory / "machine"
        for path in (notes, place):
            path.mkdir(exist_ok=True)
        (notes / f"{name}.sh").write_text(script)
        begun = notes / f"{name}.begun"
        command = ["unshare", "--pid", "--fork", "--mount", "--uts", "--mount-proc", "--kill-child"]
        command += ["bash", "-c", START, "machine", name, str(place), str(self.checkout)]
        command += [str(notes / f"{name}.sh"), str(begun)]
        environment = {
            **self.environment,
            "HOME": f"{place}/home",
            "TMPDIR": f"{place}/tmp",
            "PULUMI_HOME": f"{place}/home/.pulumi",
            **more,
        }
        environment.pop("XDG_STATE_HOME", None)
        with (notes / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        machine = Machine(name, notes, process)
        self.made.append(machine)
        until(lambda: begun.exists() or process.poll() is not None, f"{name} starts")
        assert process.poll() is None or begun.exists(), machine.said
        return machine


@contextmanager
def machines(directory: Path, checkout: Path, environment: Mapping[str, str]) -> Iterator[Machines]:
    """Machines that are gone afterwards, and with them all that runs there."""
    assert shutil.which("unshare"), "util-linux is needed: unshare"
    found = Machines(directory, checkout, environment)
    try:
        yield found
    finally:
        for machine in found.made:
            machine.destroy()
