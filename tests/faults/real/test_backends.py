"""Whole lives with state in a bucket and in a database: killed, cut off, refused, two at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from alma.journal import open_journal
from alma.journal.encryption import KEY, new_key
from tests.faults.model import stores
from tests.faults.real.test_moments import CREATE_LATER, DELETE, _begun, _plan, _until
from tests.faults.stub.bench import Bench, bench, kill, living
from tests.faults.stub.trial import Trial, _status, conclude, prepare
from tests.services.localstack import LocalStack
from tests.services.postgres import Postgres
from tests.services.proxy import Proxy
from tests.services.states import BucketStates, TableStates
from tests.services.wire import Wire

pytestmark = [pytest.mark.lives, pytest.mark.services]


@dataclass
class Place:
    """A bench whose state is behind a proxy, and what that can do to it."""

    bench: Bench
    proxy: Proxy | Wire

    def prepare(self, plan: dict[str, Any]) -> Path:
        """A directory for a trial, whose name is that of its place in the backend."""
        return prepare(self.bench, f"t{uuid4().hex[:8]}", plan)

    def lose(self, project: str, times: int = 1, *, done: bool) -> None:
        """The next writes of this stack's state get no answer; `done`: they are written."""
        path = f".pulumi/stacks/{project}/"
        if isinstance(self.proxy, Proxy):
            self.proxy.drop(
                times, lambda asked: asked.method == "PUT" and path in asked.text, done=done
            )
        else:
            self.proxy.cut(
                lambda sent: path.encode() in sent and b'{"data":' in sent, times=times, done=done
            )


@pytest.fixture(scope="module", params=["s3", "postgres"])
def place(request: pytest.FixtureRequest, pulumi_cli: Path) -> Iterator[Place]:
    assert pulumi_cli.exists()
    if request.param == "s3":
        localstack: LocalStack = request.getfixturevalue("localstack")
        proxy = Proxy(localstack.url)
        states: Any = BucketStates(localstack, f"state-{uuid4().hex[:8]}", proxy.url)
        states.client().create_bucket(Bucket=states.bucket)
        with bench(real=True, states=states) as made:
            yield Place(made, proxy)
        proxy.close()
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        wire = Wire(postgres.host, int(postgres.port))
        states = TableStates(url, url.replace(f":{postgres.port}/", f":{wire.port}/"))
        with bench(real=True, states=states) as made:
            yield Place(made, wire)
        wire.close()


@pytest.mark.parametrize(
    ("victim", "moment"),
    [("runner", CREATE_LATER), ("cli", CREATE_LATER), ("all", CREATE_LATER), ("all", DELETE)],
)
def test_killed(place: Place, victim: str, moment: str) -> None:
    """SIGKILL while a resource is made or deleted: the end is true, and no lock is left."""
    plan = _plan(fails=moment == DELETE)
    directory = place.prepare(plan)
    runner = place.bench.start(directory, "up")
    _until(lambda: _begun(directory, moment))
    live = {**living(directory, real=True), "runner": [runner]}
    chosen = [pid for pids in live.values() for pid in pids] if victim == "all" else live[victim]
    assert sum(kill(pid) for pid in chosen)
    assert place.bench.wait(runner) is not None
    trial = Trial(0)
    conclude(place.bench, directory, plan, trial)
    assert trial.violations == []
    if victim == "runner":
        assert trial.state == "COMPLETED"


@pytest.mark.parametrize("project", ["k-s0", "k-s1"])
def test_a_step_that_fails_is_undone(place: Place, project: str) -> None:
    """The first one, or the last: everything is gone, from the backend too."""
    plan = _plan(fails=True)
    faults = plan["projects"]["k-s1"]["faults"]
    plan["projects"]["k-s1"]["faults"] = []
    plan["projects"][project]["faults"] = faults
    directory = place.prepare(plan)
    assert place.bench.wait(place.bench.start(directory, "up")) == 4
    trial = Trial(0)
    conclude(place.bench, directory, plan, trial)
    assert (trial.violations, trial.state) == ([], "COMPENSATED")


def test_an_answer_that_is_lost_is_of_a_state_that_is_kept(place: Place) -> None:
    """It is written again: the same."""
    plan = _plan(fails=False)
    directory = place.prepare(plan)
    place.lose("k-s1", done=True)
    code = place.bench.wait(place.bench.start(directory, "up"))
    trial = Trial(0)
    conclude(place.bench, directory, plan, trial)
    assert trial.violations == []
    assert (code, trial.state) in ((0, "COMPLETED"), (4, "COMPENSATED"))


def test_a_backend_that_goes_away_is_never_called_clean(place: Place) -> None:
    """It is away until the runner has given up, so its lock may stay: it is known."""
    plan = _plan(fails=False)
    directory = place.prepare(plan)
    runner = place.bench.start(directory, "up")
    _until(lambda: _begun(directory, CREATE_LATER))
    place.proxy.down()
    code = place.bench.wait(runner)
    place.proxy.up()
    assert code in (8, 10), "nobody could see what is there"
    status = _status(place.bench.journal(directory))
    assert status is not None
    if code == 10:
        left = {one.step for one in status.leftovers}
        assert left == {step.definition.name for step in status.started()}
    code = place.bench.wait(place.bench.start(directory, "resume"))
    assert code in (0, 4, 10), (directory / "runner.log").read_text()
    trial = Trial(0)
    conclude(place.bench, directory, plan, trial)
    assert trial.violations == []


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_of_two_runners_at_once_one_runs(
    place: Place, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State in a bucket, the journal on a server: the other is refused, and nothing made twice."""
    monkeypatch.setenv(stores.VARIABLE, postgres.url)
    monkeypatch.setenv(KEY, new_key())
    plan = _plan(fails=False, delay=0.5)
    directory = place.prepare(plan)
    runners = [place.bench.start(directory, "up") for _ in range(2)]
    codes = sorted(place.bench.wait(runner) or 0 for runner in runners)
    with open_journal(place.bench.journal(directory), write=False) as reader:
        runs = len(reader.runs())
    # On a machine that is slow enough the second one may begin when the first is over.
    said = (directory / "runner.log").read_text()
    assert codes == ([0, 11] if runs == 1 else [0, 0]), said
    assert runs == 1 or "Another runner" not in said
    for project in plan["projects"]:
        assert (directory / "world" / f"{project}.up.count").read_text() == "." * runs
    trial = Trial(0)
    conclude(place.bench, directory, plan, trial)
    assert (trial.violations, trial.state) == ([], "COMPLETED")


def test_writes_that_are_cut_off_are_repeated(place: Place) -> None:
    """The CLI does that, and what it could not write is not what is believed."""
    plan = _plan(fails=True)
    directory = place.prepare(plan)
    place.lose("k-s1", 3, done=False)
    assert place.bench.wait(place.bench.start(directory, "up")) in (4, 10)
    trial = Trial(0)
    conclude(place.bench, directory, plan, trial)
    assert trial.violations == []
