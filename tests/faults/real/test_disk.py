"""A disk that fills up, for real: a small file system of its own under the journal."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.real.test_moments import CREATE_LATER, _begun, _plan, _until
from tests.faults.stub.bench import Bench, bench
from tests.faults.stub.trial import Trial, conclude, prepare

pytestmark = pytest.mark.lives


@pytest.fixture
def place(pulumi_cli: Path) -> Iterator[Bench]:
    assert pulumi_cli.exists()
    with bench(real=True) as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte; only root may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(path)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 256)


def test_a_disk_that_fills_up_interrupts_and_resume_goes_on(place: Bench, disk: Path) -> None:
    """Row 14: exit 8, what could not be committed is on stderr, and nothing is lost."""
    plan = _plan(fails=False, delay=0.5)
    directory = prepare(place, "full", plan)
    journal = disk / "journal.db"
    runner = place.start(directory, "up", journal=journal)
    _until(lambda: _begun(directory, CREATE_LATER))
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="space"):
        _fill(ballast)
    assert place.wait(runner) == 8
    assert "this could not be written to the journal" in (directory / "runner.log").read_text()
    ballast.unlink()
    assert place.wait(place.start(directory, "resume", journal=journal)) == 0
    (directory / "journal.db").write_bytes(journal.read_bytes())
    trial = Trial(0)
    conclude(place, directory, plan, trial)
    assert (trial.violations, trial.state) == ([], "COMPLETED")
