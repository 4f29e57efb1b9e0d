"""Sagas that are up for a test and down after it: what the fixture `deployed` gives."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, chdir, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from alma import runner
from alma.core.definition import LocalStack
from alma.core.events import Leftover
from alma.core.result import Result, SagaEndedError
from alma.core.run import RunStatus, SagaState
from alma.errors import AlmaError
from alma.journal import open_journal
from alma.journal.reading import load_run, proven_gone
from alma.runner import intervene as operator
from alma.runner.settings import Settings
from alma.saga.saga import Saga


@dataclass(frozen=True, kw_only=True)
class _Brought:
    """A saga, and the environment and directory in which it was brought up."""

    saga: Saga
    environ: dict[str, str]
    cwd: Path


class Deployed:
    """Brings sagas up, and takes them down again; journal and state are under `directory`.

    `modules` are modules that a worker cannot import by name: test files, for one. `aws` is where
    AWS steps go, if not where a saga says.
    """

    def __init__(
        self,
        directory: Path,
        *,
        modules: tuple[ModuleType, ...] = (),
        aws: LocalStack | None = None,
    ) -> None:
        self.journal = directory / "journal.db"
        self._modules, self._aws = modules, aws
        self._brought: list[_Brought] = []
        self._own = {
            "PULUMI_BACKEND_URL": (directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(24),
            "XDG_STATE_HOME": str(directory / "work"),
        }
        (directory / "state").mkdir(mode=0o700)

    def __call__(self, saga: Saga) -> Result:
        """Bring it up; the result. Raises as `Saga.run` does, and may be called in async tests.

        There it runs in a thread of its own, and the loop waits: where actions need the test's
        loop, `await deployed.execute(saga)`. Ctrl-C undoes the run before it stops the tests.
        """
        try:
            result: Result = _wait_for(lambda: self.execute(saga))
        except SagaEndedError as error:
            if error.result.status.interrupts:
                raise KeyboardInterrupt from error
            raise
        if result.status.interrupts:
            raise KeyboardInterrupt
        return result

    async def execute(self, saga: Saga) -> Result:
        """The same, on the running event loop."""
        here = _Brought(saga=saga, environ={**os.environ, **self._own}, cwd=Path.cwd())
        self._brought.append(here)
        async with self._settings(here) as settings:
            return await runner.up(saga, settings=settings)

    def destroy(self, saga: Saga) -> Result:
        """Take it down now, and its stacks' records; raises as `alma.destroy` does."""
        here = next(one for one in reversed(self._brought) if one.saga is saga)
        with _where_it_was(here):
            result: Result = _wait_for(lambda: self._destroy(here))
        return result

    def take_down(self) -> list[str]:
        """Take down all that was brought up, the last one first; what is left, a line each."""
        left: list[str] = []
        done: set[tuple[str, str]] = set()
        clean = {_target(one.saga) for one in self._brought if self._is_clean(one.saga)}
        for one in reversed(self._brought):
            target = _target(one.saga)
            steps = {(target, step.name) for step in one.saga.steps}
            if target not in clean and not steps <= done:
                done |= steps
                with _where_it_was(one):
                    left += _wait_for(partial(self._down, one))
        return left

    async def _down(self, one: _Brought) -> list[str]:
        name = _target(one.saga)
        try:
            if await self._cut_off(one) and self._is_clean(one.saga):
                return []
            await self._destroy(one)
        except SagaEndedError as error:
            return [_line(name, left) for left in error.result.leftovers] or [f"{name}: {error}"]
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are taken down
            return [f"{name}: it could not be taken down: {error!r}"]
        return [_line(name, left) for left in self._never_proven(name)]

    async def _cut_off(self, one: _Brought) -> bool:
        """Whether its run was cut off. It is undone, or given up: the destroy sees to it then."""
        run = next(iter(self._runs(one.saga)), None)
        if run is None or run.state.is_final:
            return False
        async with self._settings(one) as settings:
            try:
                await runner.rollback(run.run, saga=one.saga, settings=settings)
            except SagaEndedError as error:
                if not error.result.state.is_final:
                    raise
            except AlmaError:
                await operator.abandon(run.run, reason="its test is over", settings=settings)
        return True

    async def _destroy(self, one: _Brought) -> Result:
        async with self._settings(one) as settings:
            return await runner.destroy(one.saga, settings=settings, remove=True)

    def _never_proven(self, target: str) -> list[Leftover]:
        """Leftovers of earlier runs that the destroy says nothing of: what no state can show."""
        left: list[Leftover] = []
        with open_journal(self.journal, write=False) as journal:
            for row in journal.runs(limit=None, target=target):
                run = load_run(journal, row.run)
                gone = proven_gone(journal, run)
                left += [each for each in run.leftovers if each not in gone]
        return left

    def _is_clean(self, saga: Saga) -> bool:
        """Whether the journal says that nothing is there: undone and verified, or destroyed."""
        for run in self._runs(saga):
            if run.kind == "destroy":
                return run.state is SagaState.COMPLETED
            if run.state is not SagaState.COMPENSATED:
                return False
        return True

    def _runs(self, saga: Saga) -> list[RunStatus]:
        """The runs of it, newest first."""
        with open_journal(self.journal, write=False) as journal:
            rows = journal.runs(limit=None, target=_target(saga))
            return [load_run(journal, row.run) for row in rows]

    @asynccontextmanager
    async def _settings(self, one: _Brought) -> AsyncIterator[Settings]:
        from alma.pulumi.local import PulumiEngine

        settings = Settings(journal=self.journal, modules=self._modules, aws=self._aws)
        if not any(step.project for step in one.saga.definition().steps):
            yield settings
            return
        # Its environment says where state goes, whatever the saga and its projects say.
        engine = PulumiEngine(parallelism=one.saga.parallelism, cwd=one.cwd, environ=one.environ)
        try:
            yield replace(settings, engine=engine)
        finally:
            await engine.close()


def _where_it_was(one: _Brought) -> AbstractContextManager[None]:
    """What its functions say of files is meant from there."""
    return chdir(one.cwd) if one.cwd.is_dir() else nullcontext()


def _target(saga: Saga) -> str:
    return saga.target


def _line(name: str, left: Leftover) -> str:
    where = " ".join(filter(None, (left.stack, left.urn, left.id)))
    return f"{name}: step {left.step}: {f'{where}: ' if where else ''}{left.reason}"


def _wait_for(start: Callable[[], Awaitable[Any]]) -> Any:
    """Run it in a loop of its own: in a thread of its own where this one has a loop at work."""

    async def call() -> Any:
        return await start()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(call())
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, call()).result()
