"""Plays a case: one runner after the other over a real journal, then an end without faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alma import Retry, Saga, SagaState
from alma.core.result import Result, SagaEndedError
from alma.core.selection import Selection
from alma.core.state import fold
from alma.errors import AlmaError, RunnerBusyError
from alma.journal import open_journal
from alma.pulumi.engine import StackRef
from alma.runner import destroy, resume, rollback, up
from alma.runner.intervene import abandon, skip
from alma.runner.settings import Settings
from alma.testing import Crash, JournalFaults
from alma.testing.world import resource_of
from tests.faults.model import stage as stages
from tests.faults.model import stores
from tests.faults.model.case import SAGA, STACK, Case, Turn
from tests.faults.model.checks import check_journal, check_quiet, check_state
from tests.faults.model.clock import VirtualLoop
from tests.faults.model.stage import Stage
from tests.memory import in_memory

TARGET = f"{SAGA}/{STACK}"
LONG = 600.0
"""Virtual seconds: so that nothing that hangs hangs for ever."""


READY: dict[str, Any] = {"ready": stages.ready, "ready_timeout": 20.0, "ready_interval": 5.0}


def play(case: Case) -> list[str]:
    """The violations of a case; empty when all invariants held."""
    return perform(case).violations


def perform(case: Case) -> Stage:
    """Play it; `ends` of the stage are those of the case's turns, and after them of more."""
    with _place() as journal, stores.place(journal) as where:
        stage = Stage(case, journal, where)
        _prepare(stage)
        stages.ON_STAGE.append(stage)
        try:
            for turn in case.turns:
                one_turn(stage, turn)
                if stage.violations:
                    return stage
            _finish(stage)
        finally:
            stages.ON_STAGE.pop()
        return stage


def one_turn(stage: Stage, turn: Turn) -> Result | None:
    """One runner: whatever it does, the invariants hold when it is gone."""
    stage.begin(turn)
    earlier = stage.seen
    ended, result, error = _run(stage, turn)
    with open_journal(stage.where, write=False) as reader:
        runs = reader.runs(limit=None)
        recorded = {row.run: reader.events(row.run) for row in runs}
        check_journal(stage, reader, earlier, recorded)
    stage.seen = {(e.run, e.seq): e.hash for run in recorded.values() for e in run}
    stage.latest = fold(recorded[runs[0].run]) if runs else None
    if stage.latest is not None:
        stage.meet(runs[0].run, stage.rows())
        check_state(stage, stage.latest, result, error)
    if stage.frozen and len(stage.seen) > stage.frozen:
        stage.fail("a runner whose lease was taken over went on writing")
    stage.ends.append(ended if result is None else _name(result))
    stage.error = error
    refused = ended == "refused" and not turn.journal and not turn.takeover
    if refused and (stage.effects_now or earlier != stage.seen):
        stage.fail(f"refused ({error}), but not without a trace")
    return result


def _run(stage: Stage, turn: Turn) -> tuple[str, Result | None, BaseException | None]:
    loop = VirtualLoop()
    try:
        with contextlib.redirect_stderr(_Nowhere()):
            result = loop.run_until_complete(_asked(stage, turn))
        return "returned", result, None
    except SagaEndedError as error:
        return "ended", error.result, error
    except Crash:
        return "died", None, None
    except AlmaError as error:
        return "refused", None, error
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(BaseException):
                loop.run_until_complete(task)
        loop.close()


def _name(result: Result) -> str:
    return "INTERRUPTED" if result.interrupted else result.state.name


def _asked(stage: Stage, turn: Turn) -> Coroutine[Any, Any, Result]:
    before: dict[int, Callable[[], None]] = dict.fromkeys(turn.signals, _signal)
    if turn.rival:
        before[turn.rival] = lambda: _rival(stage)
    if turn.takeover:
        before[turn.takeover] = lambda: _take_over(stage)
    settings = Settings(
        journal=stage.where,
        engine=stage.engine,
        open_journal=JournalFaults(turn.journal, life=stage.life, before=before),
        grace=1.0,
        versions={},
        selection=Selection(steps=tuple(map(stage.case.name, turn.only)), exclusive=turn.alone),
    )
    match turn.op:
        case "up":
            return up(saga_of(stage.case), settings=settings)
        case "destroy":
            return destroy(saga_of(stage.case), settings=settings, remove=turn.step % 2 == 1)
        case "resume":
            return resume(saga=saga_of(stage.case), settings=settings)
        case "rollback":
            return rollback(saga=saga_of(stage.case), settings=settings)
        case "skip":
            return _skip(stage, turn.step, settings)
        case "abandon":
            return abandon("latest", reason="the model wants it", settings=settings)


async def _skip(stage: Stage, index: int, settings: Settings) -> Result:
    result = await skip("latest", stage.case.name(index), reason="it is stuck", settings=settings)
    stage.skipped.add((result.run_id, index))
    return result


def saga_of(case: Case) -> Saga:
    """The saga, made anew as each process makes it from its file."""
    saga = Saga(SAGA, stack=STACK, parallelism=case.parallelism, on_failure=case.on_failure)
    for index, step in enumerate(case.steps):
        parents = [saga.steps[other] for other in step.after]
        common: dict[str, Any] = {
            "after": [parent.name for parent in parents],
            "inputs": {f"in{n}": p.output("value") for n, p in enumerate(parents)}
            if step.consumes
            else {},
            "pivot": step.pivot,
            "retry": Retry(attempts=step.tries, delay=5.0),
            "compensation_retry": Retry(attempts=step.undo_tries, delay=5.0),
            "timeout": LONG,
            "compensation_timeout": LONG,
            **(READY if step.ready else {}),
        }
        name = case.name(index)
        if step.kind == "stack":
            own: Any = stages.undo if step.undo == "callable" else step.undo
            saga.add_stack(name, program=stages.program, compensation=own, **common)
        else:
            back = None if step.undo == "none" else stages.undo
            saga.add_step(name, action=stages.act, compensation=back, **common)
    return saga


def _finish(stage: Stage) -> None:
    """Without faults it comes to an end, which then stays as it is; and all can be taken down."""
    case = stage.case
    for attempt in range(3):
        status = stage.latest
        if status is None or status.state.is_final:
            break
        expected = check_quiet(stage, status)
        one_turn(stage, Turn(op="resume"))
        now = stage.latest
        if not stage.violations and expected and now and now.state is not expected:
            ended = f"{now.state.name}, not {expected.name}"
            stage.fail(f"resumed without faults it is {ended} ({stage.ends[-1]}: {stage.error})")
        if stage.violations:
            return
        if attempt == 2 and now and not now.state.is_final:
            stage.fail("it does not come to an end")
    status = stage.latest
    if status is not None and status.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        count, effects = len(stage.seen), stage.effects
        one_turn(stage, Turn(op="resume"))
        if (count, effects) != (len(stage.seen), stage.effects):
            stage.fail("resume of a finished run did something")
    if not stage.violations and status is not None:
        one_turn(stage, Turn(op="destroy", step=len(case.turns)))


# -- what happens to a runner ------------------------------------------------------------------


def _signal() -> None:
    """As a terminal or a supervisor sends it; not where nobody would catch it."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGTERM)


def _rival(stage: Stage) -> None:
    """Somebody else tries to run the target at this moment."""
    with open_journal(stage.where, write=True) as journal:
        try:
            with journal.acquire(TARGET, "rival"):
                stage.fail("a second runner got the lease")
        except RunnerBusyError:
            pass


def _take_over(stage: Stage) -> None:
    """The lock is lost (as it can be on a network drive), and somebody else takes the lease."""
    latest = stage.rows()[-1][0]
    stores.lose_locks(stage.where)
    with open_journal(stage.where, write=True) as journal:
        journal.acquire(TARGET, latest).release()
    stage.frozen = len(stage.rows())


# -- where it happens --------------------------------------------------------------------------


def _prepare(stage: Stage) -> None:
    for index, step in enumerate(stage.case.steps):
        if step.kind != "stack" or step.before is None:
            continue
        key = (stage.case.project(index), STACK)
        stage.reality.put(key, stage.reality.state(key))
        names = ["other"] if step.before < 0 else [f"r{n}" for n in range(step.before)]
        for name in names:
            stage.reality.create(key, resource_of(StackRef(project=key[0], stack=STACK), name))


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """A directory in memory where there is one: fsync is asked for as ever, and costs little."""
    root = tempfile.mkdtemp(prefix="alma-model-", dir=in_memory())
    try:
        journal = Path(root) / "journal.db"
        journal.touch(mode=0o600)
        journal.write_bytes(_empty_journal())
        yield journal
    finally:
        shutil.rmtree(root, ignore_errors=True)


@cache
def _empty_journal() -> bytes:
    """A journal without runs: making one takes longer than all else that a case does."""
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "journal.db"
        open_journal(path, write=True).close()
        return path.read_bytes()


class _Nowhere:
    def write(self, _text: str) -> None:
        pass

    def flush(self) -> None:
        pass
