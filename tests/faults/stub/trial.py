"""One trial: a saga over the stub, processes killed at moments that a seed gives, and the truth."""

from __future__ import annotations

import json
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from alma import SagaState
from alma.core.run import RunStatus
from alma.core.state import fold
from alma.journal import open_journal
from alma.journal.address import Address
from tests.faults.stub.bench import Bench, kill, living
from tests.faults.stub.runner import SAGA

TRIES: Final = 8
"""Runners without kills in which a run must come to its end."""

AT_WORK: Final = 0.7
"""Of the kills: those of a runner that is at work, and not only on its way to it."""


@dataclass
class Trial:
    """`kills` are those that hit; `log` says what was done, in order."""

    seed: int
    kills: int = 0
    rows: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    state: str = ""


def plan_of(rng: random.Random) -> dict[str, Any]:
    """Two to four small stacks; in every third plan something fails."""
    projects: dict[str, Any] = {}
    count = rng.choice((2, 2, 3, 4))
    for index in range(count):
        parents = [f"s{index - 1}"] if index and rng.random() < 0.7 else []
        projects[f"{SAGA}-s{index}"] = {
            "after": parents,
            "compensation": rng.choice(("destroy", "destroy", "destroy", "retain")),
            "resources": [f"r{number}" for number in range(rng.choice((1, 2, 3)))],
            "outputs": {"value": f"v{index}"},
            "faults": [],
        }
    if rng.random() < 0.5:
        fault = {"op": "up", "nth": 1, "after": rng.choice((0, 1, 9))}
        projects[f"{SAGA}-s{count - 1}"]["faults"].append(fault)
        if rng.random() < 0.3:
            fault = {"op": "destroy", "nth": 1, "after": 0}
            projects[f"{SAGA}-s{rng.randrange(count)}"]["faults"].append(fault)
    return {"delay": 0.01, "real": False, "parallelism": rng.choice((1, 2)), "projects": projects}


def run_trial(bench: Bench, seed: int, kills: int = 3) -> Trial:
    """Start, kill up to `kills` times, go on to the end, look."""
    rng, trial = random.Random(seed), Trial(seed)  # noqa: S311 - repeatable
    plan = plan_of(rng)
    if bench.real:
        plan |= {"real": True, "delay": 0.15}
    directory = prepare(bench, f"trial-{seed}", plan)
    _disturb(bench, directory, rng, trial, kills)
    conclude(bench, directory, plan, trial)
    return trial


def prepare(bench: Bench, name: str, plan: dict[str, Any]) -> Path:
    """A directory for a trial of that plan."""
    directory = bench.scratch / name
    for folder in ("things", "pids", "begun"):
        (directory / "world" / folder).mkdir(parents=True)
    (directory / "world" / "plan.json").write_text(json.dumps(plan))
    for project, entry in plan["projects"].items():
        if any(fault["op"] == "destroy" for fault in entry["faults"]):
            (directory / "world" / f"{project}.refuses").touch()  # for the real provider
    return directory


def conclude(bench: Bench, directory: Path, plan: dict[str, Any], trial: Trial) -> None:
    """Go on to the end without kills, and look; the directory stays if something is wrong."""
    _finish(bench, directory, trial)
    if not trial.violations:
        kept = bench.kept(directory)
        _look(bench.journal(directory), directory, kept, plan, trial)
        _look_for_remains(directory, kept, plan, trial)
    if not trial.violations:
        shutil.rmtree(directory)


def _disturb(bench: Bench, directory: Path, rng: random.Random, trial: Trial, kills: int) -> None:
    runner = bench.start(directory, "up")
    trial.log.append("up")
    for _ in range(kills):
        if rng.random() < AT_WORK:
            _wait_for_work(bench, directory, runner)
        code = bench.wait(runner, rng.expovariate(1 / (1.5 if bench.real else 0.2)))
        if code is not None:
            trial.log.append(f"exit {code}")
            return
        live = {**living(directory, real=bench.real), "runner": [runner]}
        roles = [role for role in ("runner", "runner", *live) if live[role]]
        victim = rng.choice([*roles, "all"])
        targets = [p for r in live.values() for p in r] if victim == "all" else live[victim][-1:]
        hits = sum(kill(pid) for pid in targets)
        trial.kills += bool(hits)
        trial.log.append(f"kill {victim} ({hits})")
        if victim not in ("runner", "all"):
            trial.rows.append({"cli": 6, "worker": 13, "plugin": 9}[victim])
        else:
            bench.wait(runner)
            trial.rows.append(_row(_status(bench.journal(directory))))
            operation = rng.choice(("resume", "resume", "resume", "rollback"))
            trial.log.append(operation)
            runner = bench.start(directory, operation)
    code = bench.wait(runner)
    trial.log.append(f"exit {code}")
    if code is None:
        trial.violations.append("a runner does not come to its end")
        kill(runner)


def _wait_for_work(bench: Bench, directory: Path, runner: int) -> None:
    """Until it has begun something, however slow the machine is; or has ended."""
    before = _begun(directory)
    while _begun(directory) == before and bench.wait(runner, 0.005) is None:
        pass


def _begun(directory: Path) -> set[tuple[str, int]]:
    """What was begun, and when: commands of the stub, resources of the real CLI."""
    world = directory / "world"
    paths = [*(world / "pids").glob("cli-*"), *(world / "begun").iterdir()]
    return {(path.name, path.stat().st_mtime_ns) for path in paths}


def _finish(bench: Bench, directory: Path, trial: Trial) -> None:
    for _ in range(TRIES):
        status = _status(bench.journal(directory))
        if status is not None and status.state.is_final:
            return
        operation = "up" if status is None else "resume"
        code = bench.wait(bench.start(directory, operation))
        trial.log.append(f"{operation}: exit {code}")
        if code not in (0, 4, 10):
            trial.violations.append(f"undisturbed {operation} ended with {code}")
            return
    trial.violations.append("it does not come to an end")


def _row(status: RunStatus | None) -> int:
    """The row of the matrix that a runner's death was of, as its journal tells."""
    doubtful = [step.open for step in status.steps.values() if step.open] if status else []
    if status is not None and status.direction == "back":
        return 5
    if not doubtful:
        return 1
    return 3 if any(operation.processes for operation in doubtful) else 2


def _status(journal: Address) -> RunStatus | None:
    with open_journal(journal, write=False) as reader:
        runs = reader.runs(limit=1)
        return fold(reader.events(runs[0].run)) if runs else None


def _look(
    journal: Address, directory: Path, kept: dict[str, bytes], plan: dict[str, Any], trial: Trial
) -> None:
    """What is there, against what the journal says."""
    fail = trial.violations.append
    status = _status(journal)
    assert status is not None
    trial.state = status.state.name
    with open_journal(journal, write=False) as reader:
        if broken := reader.verify().first_break:
            fail(f"the journal is broken: {broken}")
    things = {_short(path.name) for path in (directory / "world" / "things").iterdir()}
    states = {
        PurePath(path).parent.name: _state(content)
        for path, content in kept.items()
        if PurePath(path).match("stacks/*/*.json")
    }
    pending = {thing for _, operations in states.values() for thing in operations}
    if status.state is SagaState.COMPLETED:
        wanted = {f"{p}::{name}" for p, e in plan["projects"].items() for name in e["resources"]}
        held = {thing for resources, _ in states.values() for thing in resources}
        if not things == held == wanted or pending:
            fail(f"COMPLETED: wanted {wanted}, held {held}, there {things}, pending {pending}")
    elif status.state is SagaState.COMPENSATED:
        # An empty record stays where the step asks for its stack to be retained.
        stays = {p for p, entry in plan["projects"].items() if entry["compensation"] == "retain"}
        if things or any(p not in stays or any(state) for p, state in states.items()):
            fail(f"COMPENSATED, and there is {things}, {states}")
    else:
        named = {_short(left.urn) for left in status.leftovers if left.urn}
        if missing := (things | pending) - named:
            fail(f"FAILED, and not named: {missing}; named: {named}")


def _look_for_remains(
    directory: Path, kept: dict[str, bytes], plan: dict[str, Any], trial: Trial
) -> None:
    """Locks and processes; and that the workers were the harness's own, to be killed at all."""
    fail = trial.violations.append
    if not any((directory / "world" / "pids").glob("worker-*")):
        fail("no worker came from this harness: alma starts them elsewhere now")
    if locks := [path for path in kept if PurePath(path).match("locks/organization/*/*/*.json")]:
        fail(f"locks are left: {locks}")
    deadline = time.monotonic() + 300
    while (
        left := [p for pids in living(directory, real=bool(plan["real"])).values() for p in pids]
    ) and (time.monotonic() < deadline):
        time.sleep(0.01)
    if left:
        fail(f"processes are left: {left}")


def _state(content: bytes) -> tuple[set[str], set[str]]:
    """Resources and pending operations, providers and the root left out."""
    latest = json.loads(content)["checkpoint"].get("latest") or {}
    entries = latest.get("resources") or []
    resources = {_short(e["urn"]) for e in entries if not e["type"].startswith("pulumi:p")}
    operations = latest.get("pending_operations") or []
    return resources, {_short(p["resource"]["urn"]) for p in operations}


def _short(urn: str) -> str:
    """`project::name`, of a URN or of what is that already."""
    parts = urn.split("::")
    return f"{parts[1]}::{parts[-1]}" if parts[0].startswith("urn:") else urn
