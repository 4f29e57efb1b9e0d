"""The real CLI, disturbed at chosen moments: each row of the matrix that has a real form."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.stub.bench import Bench, bench, kill, living
from tests.faults.stub.trial import Trial, conclude, prepare

pytestmark = pytest.mark.lives

CREATE_FIRST, CREATE_LATER, DELETE = "create-k-s0::r0", "create-k-s1::r1", "delete-k-s0::r1"
MOMENTS = (CREATE_FIRST, CREATE_LATER, DELETE)


@pytest.fixture(scope="module")
def place(pulumi_cli: Path) -> Iterator[Bench]:
    assert pulumi_cli.exists()
    with bench(real=True) as made:
        yield made


def _plan(*, fails: bool, delay: float = 0.25, **more: Any) -> dict[str, Any]:
    """Two stacks of two things; the last thing of the second fails if asked, at first."""

    def project(after: list[str], faults: list[dict[str, Any]]) -> dict[str, Any]:
        made = {"resources": ["r0", "r1"], "outputs": {}, "compensation": "destroy"}
        return {**made, "after": after, "faults": faults}

    fault = [{"op": "up", "nth": 1, "after": 1}] if fails else []
    projects = {"k-s0": project([], []), "k-s1": project(["s0"], fault)}
    return {"real": True, "delay": delay, "parallelism": 2, "projects": projects, **more}


def _until(condition: Callable[[], Any], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds:g} s"
        time.sleep(0.005)


def _begun(directory: Path, moment: str) -> bool:
    return (directory / "world" / "begun" / moment).exists()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", ["runner", "worker", "cli", "plugin", "all"])
def test_killed(place: Bench, victim: str, moment: str) -> None:
    """SIGKILL while a resource is made or deleted: the end is true, and nothing is left behind."""
    plan = _plan(fails=moment == DELETE)
    directory = prepare(place, f"{victim}-{moment}", plan)
    runner = place.start(directory, "up")
    _until(lambda: _begun(directory, moment))
    live = {**living(directory, real=True), "runner": [runner]}
    chosen = [pid for pids in live.values() for pid in pids] if victim == "all" else live[victim]
    assert sum(kill(pid) for pid in chosen)
    code = place.wait(runner)
    assert code is not None
    trial = Trial(0)
    conclude(place, directory, plan, trial)
    assert trial.violations == []
    if victim == "runner":
        assert trial.state == ("COMPENSATED" if moment == DELETE else "COMPLETED")


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_signal_drains_and_undoes(place: Bench, moment: str) -> None:
    """Row 11: the resource in flight is finished, the rest undone, the lock gone; exit 4."""
    plan = _plan(fails=moment == DELETE, delay=1.0)
    directory = prepare(place, f"one-{moment}", plan)
    runner = place.start(directory, "up")
    _until(lambda: _begun(directory, moment))
    os.kill(runner, signal.SIGINT)
    code = place.wait(runner)
    # Where the last resource of all was done before the signal got through, nothing was left to do.
    done = code == 0 and moment == CREATE_LATER
    assert done or code == 4
    trial = Trial(0)
    conclude(place, directory, plan, trial)
    assert (trial.violations, trial.state) == ([], "COMPLETED" if done else "COMPENSATED")


def test_two_signals_stop_and_resume_goes_on(place: Bench) -> None:
    """Row 12: exit 8 at once, in doubt journaled; the CLI drains by itself."""
    plan = _plan(fails=False, delay=1.0)
    directory = prepare(place, "two", plan)
    runner = place.start(directory, "up")
    _until(lambda: _begun(directory, CREATE_FIRST))
    os.kill(runner, signal.SIGTERM)
    time.sleep(0.2)  # as far apart as the matrix says
    os.kill(runner, signal.SIGTERM)
    assert place.wait(runner) == 8
    trial = Trial(0)
    conclude(place, directory, plan, trial)
    assert (trial.violations, trial.state) == ([], "COMPLETED")


def test_what_was_deleted_behind_its_back_is_undone_all_the_same(place: Bench) -> None:
    """Row 28: a thing that the provider no longer has does not stop the undo."""
    plan = _plan(fails=True)
    directory = prepare(place, "vanished", plan)
    runner = place.start(directory, "up")
    _until(lambda: _begun(directory, CREATE_LATER))
    (directory / "world" / "things" / "k-s0::r0").unlink()
    assert place.wait(runner) == 4
    trial = Trial(0)
    conclude(place, directory, plan, trial)
    assert (trial.violations, trial.state) == ([], "COMPENSATED")
