"""The parts of a session, each by its name: `--only chain,append` runs these two."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from alma.journal.encryption import KEY, new_key
from tests.benchmarks import core, counts, growth, loads, memory, numbers, stacks, terragrunt
from tests.benchmarks import shared as shared_services
from tests.benchmarks import temporal as by_temporal
from tests.benchmarks import weight as weighing
from tests.benchmarks.results import Results
from tests.benchmarks.room import House, script
from tests.benchmarks.stats import middle
from tests.benchmarks.timeline import Timeline, trace
from tests.benchmarks.timing import Arm, Times, interleave, tell
from tests.services.postgres import Server


@dataclass
class Session:
    """Where the parts work, how often, and what they have found."""

    house: House
    scratch: Path
    repeats: int
    results: Results
    lines: dict[str, Timeline]

    def interleave(
        self,
        arms: list[Arm],
        label: str,
        works: dict[str, str],
        context: Callable[[], Arm] | None = None,
    ) -> Times:
        """Measure, and keep the seconds under the name of each phase's work.

        `context` is Terragrunt's arm: it sets no target, and the rest goes on without it.
        """
        if context is not None and self.terragrunt:
            arms = [*arms, context()]
        times = interleave(self.house, arms, self.repeats, label=label)
        for (arm, phase), values in times.items():
            self.results.times.setdefault(works[phase], {})[arm] = middle(values)
        return times

    def beside_terragrunt(self, times: Times, works: dict[str, str]) -> None:
        """Rows without a target, where it was measured."""
        for phase, work in works.items():
            if theirs := times.get(("D", phase)):
                self.results.compare(work, "A / D", times["A", phase], theirs)

    @cached_property
    def terragrunt(self) -> bool:
        """Whether it can be measured; if not, a note says why."""
        if why := terragrunt.missing(self.house):
            self.results.notes.append(f"D (Terragrunt) was not measured: {why}.")
        return not why


def chain(session: Session) -> None:
    """A chain of five, fresh and with nothing to do."""
    found = session.results
    works = {"fresh": "chain of 5, fresh", "no-op": "chain of 5, no-op"}
    works["changed"] = "chain of 5, no-op, `--changed`"
    times = session.interleave(stacks.chain(), "chain", works, terragrunt.chain)
    for phase, slow, bare in (("fresh", 0.45, 0.95), ("no-op", 0.30, 0.85)):
        ours = times["A", phase]
        found.compare(works[phase], "A / B", ours, times["B", phase], target=slow)
        found.compare(works[phase], "A / C", ours, times["C", phase], target=bare)
    found.compare(
        works["changed"], "A / C", times["A", "changed"], times["C", "no-op"], target=0.15
    )
    session.beside_terragrunt(times, works)


def shared(session: Session) -> None:
    """The same chain over S3, and alma's journal in Postgres."""
    over = "S3 and Postgres"
    works = {"fresh": f"chain of 5 over {over}, fresh", "no-op": f"chain of 5 over {over}, no-op"}
    with TemporaryDirectory(prefix="bench-shared-") as directory:
        path = Path(directory)
        with shared_services.chain(path) as arms:
            times = session.interleave(arms, "shared", works)
    for phase, target in (("fresh", None), ("no-op", 1.15)):
        ours, bare = times["A", phase], times["C", phase]
        session.results.compare(works[phase], "A / C", ours, bare, target=target)


def wide(session: Session) -> None:
    """Ten stacks side by side."""
    works = {"fresh": (work := "10 stacks, 4 at a time, fresh")}
    times = session.interleave(stacks.wide(), "wide", works, terragrunt.wide)
    session.results.compare(work, "A / B'", times["A", "fresh"], times["B'", "fresh"], target=0.6)
    session.beside_terragrunt(times, works)


def failure(session: Session) -> None:
    """A failure and its undo."""
    works = {"undone": (work := "failure at step 5, all undone")}
    times = session.interleave(stacks.failure(), "failure", works, terragrunt.failure)
    session.results.compare(work, "A / B", times["A", "undone"], times["B", "undone"], target=0.6)
    session.beside_terragrunt(times, works)


def single(session: Session) -> None:
    """One stack in YAML by itself."""
    works = {"fresh": "one YAML stack, fresh", "no-op": "one YAML stack, no-op"}
    times = session.interleave(stacks.single(), "single", works)
    for phase, work in works.items():
        ours, theirs = times["A", phase], times["C", phase]
        session.results.compare(work, "A / C", ours, theirs, target=1.5)


def commands(session: Session) -> None:
    """What only reads."""
    works = {"help": "`alma-pulumi --help`", "status": "`alma-pulumi status`"}
    times = interleave(session.house, stacks.commands(), session.repeats, label="commands")
    for phase, work in works.items():
        ours, theirs = times["A", phase], times["click", phase]
        session.results.compare(work, "A / bare click script", ours, theirs, target=1.5)


def processes(session: Session) -> None:
    """CLI processes, which are counted."""
    found, rows = counts.processes(session.house), session.results
    rows.count("CLI processes for each stack, new", "A", found["new"], target=2)
    rows.count("CLI processes for each stack, no-op", "A", found["no-op"], target=1)
    rows.count("CLI processes for each stack undone", "A", found["undone"], target=2)
    for how in ("finished", "half done"):
        work = f"resume of a {how.replace(' ', '-')} run: CLI processes for done steps"
        rows.count(work, "A", found[f"resumed, {how}"], target=0)
    for name in ("new", "no-op", "undone"):
        rows.count(f"CLI processes for each stack, {name}", "B", found[f"B, {name}"])


def journal(session: Session) -> None:
    """The journal's share of a run, and its appends."""
    found = session.results
    share = numbers.share(session.house, session.repeats)
    found.add("journal's share of a fresh chain of 5", "A", share["all"], unit=" %", target=1)
    work = "journal's share of a fresh chain of 5: what is waited for"
    found.add(work, "A", share["waited"], unit=" %")
    times = core.append(session.scratch, session.repeats)
    work = "append of an event"
    found.compare(work, "A / raw SQLite commit", times["alma"], times["SQLite"], target=1.5)
    times = _on_postgres(session)
    work = "append of an event, on Postgres"
    found.compare(work, "A / bare INSERT and commit", times["alma"], times["psycopg"], target=3)


def _on_postgres(session: Session) -> dict[str, list[float]]:
    """With a server that waits for its disk, as a server does, on loopback."""
    with TemporaryDirectory(prefix="alma-bench-") as directory:
        server = Server(Path(directory), {"fsync": "on", "full_page_writes": "on"})
        server.start()
        before = os.environ.get(KEY)
        os.environ[KEY] = new_key()
        try:
            return core.append_on_postgres(server.address.url, session.repeats)
        finally:
            server.stop()
            del os.environ[KEY]
            os.environ.update({} if before is None else {KEY: before})


def steps(session: Session) -> None:
    """Steps that do nothing, beside DBOS."""
    rates, found = numbers.steps(session.house, session.repeats), session.results
    for name in ("alma", "alma, async"):
        work = f"steps that do nothing, a second ({'plain' if name == 'alma' else 'async'})"
        if "DBOS" in rates:
            goal = {"side": "at least", "target": 1.5}
            found.compare(work, "A / DBOS on SQLite", rates[name], rates["DBOS"], **goal)
        found.add(work, "A", rates[name], unit="/s")
    if "DBOS" in rates:
        found.add("steps that do nothing, a second", "DBOS", rates["DBOS"], unit="/s")
    else:
        found.notes.append("DBOS was not measured: it is not installed.")


def fold(session: Session) -> None:
    """100,000 events."""
    times = core.folding(max(3, session.repeats // 4))
    for name in ("fold", "decode and fold"):
        work = f"{name} of {core.FOLDED:,} events"
        session.results.compare(work, "A / json.loads", times[name], times["json.loads"], target=4)


def held(session: Session) -> None:
    """Memory."""
    peaks, found = memory.peaks(session.house, max(3, session.repeats // 4)), session.results
    found.compare("memory of the runner", "A / B", peaks["runner"], peaks["B"], target=1.15)
    for name in ("runner", "worker", "B"):
        found.add(
            f"memory of {name if name == 'B' else f'the {name}'}", name, peaks[name], unit=" MiB"
        )


def aws(session: Session) -> None:
    """What pulumi-aws adds to a worker."""
    found = session.results
    if not loads.present():
        found.notes.append("The worker with pulumi-aws was not measured: it is not installed.")
        return
    seconds, mib = loads.loads(session.house, session.repeats)
    bare = "no pulumi-aws"
    for services in (name for name in loads.ARMS if name != bare):
        work = f"worker with {services} of pulumi-aws"
        found.compare(
            f"{work}: processor time to start", f"A / {bare}", seconds[services], seconds[bare]
        )
        found.compare(f"{work}: memory", f"A / {bare}", mib[services], mib[bare])
    for name in loads.ARMS:
        found.add("worker's processor time to start", name, seconds[name], unit=" s")
        found.add("worker's memory", name, mib[name], unit=" MiB")


def weight(session: Session) -> None:
    """What an operation weighs, with its CLI and plugins."""
    found = session.results
    if len(weighing.kinds()) < len(weighing.KINDS):
        found.notes.append(f"{weighing.PLUGIN} was not weighed: it is not there.")
    for kind, weights in weighing.weights(session.house, max(3, session.repeats // 4)).items():
        for part in ("all", "cli", "worker", "plugins"):
            if any(values := [one[part] for one in weights]):
                work = f"memory of an operation with {kind}"
                found.add(work, part, values, unit=" MiB")


def temporal(session: Session) -> None:
    """Runs that Temporal drives."""
    found, few = session.results, max(3, session.repeats // 4)
    with by_temporal.place(session.house) as place:
        for name in by_temporal.MANY:
            said = by_temporal.many(place, name)
            work = f"{name} stacks that do nothing, by {by_temporal.WORKERS} workers of Temporal"
            rate = said["operations"] / said["seconds"]
            found.count(f"{work}: operations a second", "A", rate, unit="/s")
            each = said["events"] / said["operations"]
            found.count(f"{work}: events of history for each", "A", each)
            found.add(f"{work}: memory of a worker", "A", said["peaks"], unit=" MiB")
            spent = 1000 * said["processor"] / said["operations"]
            found.count(f"{work}: processor time of workers for each", "A", spent, unit=" ms")
            tell(f"temporal: {name}")
        times, said = by_temporal.one_operation(place, few)
        work = "an operation that does nothing, by Temporal"
        ours = times["Temporal"]
        found.compare(work, "A / A, local", ours, times["local"])
        found.compare(work, "A / an activity that does nothing", ours, times["bare"])
        for arm, values in times.items():
            each = [1000 * seconds / said[arm]["operations"] for seconds in values]
            found.add(work, f"A, {arm}" if arm != "bare" else "an activity", each, unit=" ms")
        for shape, what in (("chain", "chain of 5"), ("wide", "10 stacks, 4 at a time")):
            times = by_temporal.real(place, shape, few)
            work = f"{what} over Postgres, fresh, by two workers of Temporal"
            found.compare(work, "A / A, local", times["two workers"], times["local"])
            session.results.times[work] = {arm: middle(values) for arm, values in times.items()}


def grow(session: Session) -> None:
    """How cost grows."""
    place, curves = session.scratch, session.results.curves
    curves["fake stacks"] = {
        "deep": growth.fake_stacks(place, deep=True),
        "wide": growth.fake_stacks(place, deep=False),
    }
    sizes = (1, 5, 10, 30) if session.repeats >= 5 else (1, 5)
    curves["real stacks"] = growth.real_stacks(session.house, 1, sizes)
    curves["resources"] = growth.resources(session.house)
    curves["journal"] = growth.journals(session.house, place)


def timelines(session: Session) -> None:
    """One run of each kind, process by process."""
    command = script("alma_chain.py", stacks.CHAIN)
    session.lines["chain of 5, fresh"] = trace(session.house, [command])
    session.lines["chain of 5, no-op"] = trace(session.house, [command, command])


SECTIONS: dict[str, Callable[[Session], None]] = {
    "chain": chain,
    "shared": shared,
    "wide": wide,
    "failure": failure,
    "single": single,
    "commands": commands,
    "processes": processes,
    "journal": journal,
    "steps": steps,
    "fold": fold,
    "memory": held,
    "aws": aws,
    "weight": weight,
    "temporal": temporal,
    "timeline": timelines,
    "growth": grow,
}
