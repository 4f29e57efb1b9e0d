"""What a worker does for the workflows of its sagas."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from alma.core import events as ev
from alma.errors import RefusedError, RunnerBusyError
from alma.runner.temporal.begin import begin_there
from alma.runner.temporal.failures import other_code, refused, translated, with_words
from alma.runner.temporal.here import Here, UnwantedError
from alma.runner.temporal.open_runs import OpenRuns
from alma.runner.temporal.orders import (
    INTERRUPT,
    NEXT,
    START,
    SUPERSEDED,
    SUSPEND,
    TURN,
    Ask,
    Lead,
    Next,
    OpenText,
    Order,
    Todo,
)
from alma.runner.temporal.own_loop import OwnLoop
from alma.runner.temporal.served import Served
from alma.runner.temporal.shown import standing
from alma.system.processes import is_place_here

T = TypeVar("T")


class Activities:
    """Those of one worker process. `most` is how many operations it makes at a time.

    What they do is done in a loop of its own (`own`), which the journal may hold up: a server that
    says nothing must not keep anybody from saying that a CLI is alive.
    """

    def __init__(self, served: Mapping[str, Served], most: int, own: OwnLoop) -> None:
        self._served, self._own = served, own
        self._room = asyncio.Semaphore(most)
        self._open = OpenRuns()
        self._steps: dict[tuple[str, str], asyncio.Lock] = {}
        """The journal's lock on a step can be lost with its connection, while what is done about
        the step goes on here: it is not begun beside that."""
        self._told: set[str] = set()
        self.stopping = asyncio.Event()
        """Set by a first signal: nothing is begun any more."""
        self._abandoned = asyncio.Event()

    def stop(self) -> None:
        """A first signal, or a second: what is under way is left, and its CLIs go on."""
        if self.stopping.is_set():
            self._own.call(self._abandoned.set)
        self.stopping.set()

    @property
    def books(self) -> list[Callable[..., Any]]:
        """The activities that only keep the books."""
        return [self.start, self.next, self.interrupt, self.suspend]

    @activity.defn(name=START)
    async def start(self, order: Order) -> int:
        """Have the run begin, or go on, under a lease of the workflow's; its epoch.

        0: it is over already.
        """
        return await self._supervised(self._start(order), order.heartbeat)

    @activity.defn(name=NEXT)
    async def next(self, ask: Ask) -> Next:
        """See `Here.next`."""

        async def work(here: Here) -> Next:
            todo, over = await here.next(frozenset(ask.busy))
            busy = {*ask.busy, *(one.step for one in todo)}
            return Next(todo, here.run.state.value, over, standing(here.run, busy))

        try:
            return await self._own.begin(self._in(ask.lead, work))
        except ApplicationError as error:
            if error.type == SUPERSEDED:
                return Next((), SUPERSEDED, SUPERSEDED)
            raise

    @activity.defn(name=INTERRUPT)
    async def interrupt(self, lead: Lead) -> None:
        """A user has cancelled the workflow: as a first signal to a local runner."""
        work = self._in(lead, lambda here: here.interrupt("cancelled in Temporal"))
        await self._own.begin(work)

    @activity.defn(name=SUSPEND)
    async def suspend(self, todo: Todo) -> None:
        """Nobody has come to settle an operation where it was."""
        await self._own.begin(self._in(todo.lead, lambda here: here.nobody_came(todo.step)))

    @activity.defn(name=TURN)
    async def turn(self, todo: Todo) -> str:
        """See `Here.turn`; a word that Temporal's pages show."""
        called_off = threading.Event()

        def wanted() -> bool:
            return not (called_off.is_set() or self.stopping.is_set())

        async def work(here: Here) -> str:
            async with self._steps.setdefault((todo.lead.target, todo.step), asyncio.Lock()):
                return await take(here)

        async def take(here: Here) -> str:
            async with self._room:
                turn = asyncio.create_task(here.turn(todo, wanted))
                left = asyncio.create_task(self._abandoned.wait())
                try:
                    await asyncio.wait({turn, left}, return_when=asyncio.FIRST_COMPLETED)
                    if turn.done():
                        return turn.result()
                    turn.cancel()
                    await asyncio.gather(turn, return_exceptions=True)
                    raise ApplicationError("", type="Left")
                finally:
                    left.cancel()

        heartbeat = todo.lead.heartbeat
        words = f"{todo.what} {todo.step}".strip()
        done = self._supervised(self._in(todo.lead, work), heartbeat, called_off, words)
        return OpenText(await done)

    # -- parts -----------------------------------------------------------------------------------

    async def _start(self, order: Order) -> int:
        served = self._served_of(order.target, order.place)
        info = activity.info()
        workflow = ev.Workflow(
            id=info.workflow_id or "",
            address=activity.client().service_client.config.target_host,
            namespace=info.namespace,
        )
        said: list[str] = []
        try:
            with translated(said.append, beginning=True):
                try:
                    return await begin_there(order, served, workflow)
                except RunnerBusyError:
                    if info.attempt == 1:
                        raise
                    raise UnwantedError from None  # by one before, which was only taken for lost
        except ApplicationError as error:
            for words in said:
                self._say(words)
            raise with_words(error, said, order.target, served.settings) from None

    async def _in(self, lead: Lead, work: Callable[[Here], Coroutine[Any, Any, T]]) -> T:
        served = self._served_of(lead.target, lead.place)
        with translated(self._say):
            async with self._open.here(lead, served) as here:
                return await work(here)

    def _served_of(self, target: str, place: str) -> Served:
        served = self._served.get(target)
        if served is None:
            words = f"{target} is none of the sagas that this worker serves."
            raise other_code(self._say, words)
        if place and not is_place_here(place):
            words = (
                f"The journal of {target} is a file on {place.partition('#')[0]}, which this host "
                "cannot reach: give all workers one on Postgres, or run them all there."
            )
            raise refused(self._say, words, RefusedError.exit_code)
        return served

    async def close(self) -> None:
        """Let go of all runs."""
        await self._own.begin(self._open.close())

    async def _supervised(
        self,
        work: Coroutine[Any, Any, T],
        heartbeat: float,
        called_off: threading.Event | None = None,
        words: str = "",
    ) -> T:
        """Say that it is alive for as long as it is, which is as long as its CLI is.

        What cancels an activity ends no CLI: a pause, a reset, a time that is over, a worker that
        goes. That is journaled as it ends. A user's word to stop comes by the journal. Only what
        was not begun yet is `called_off`: somebody else is asked for it, or nobody. `words` are for
        Temporal's page of what is under way.
        """
        done = self._own.begin(work)
        while not done.done():
            activity.heartbeat(OpenText(words))
            try:
                await asyncio.wait({done}, timeout=heartbeat / 3)
            except asyncio.CancelledError:
                mine = asyncio.current_task()
                if mine is not None:
                    mine.uncancel()
                if called_off is not None:
                    called_off.set()
        return done.result()

    def _say(self, words: str) -> None:
        """For whoever looks at this worker: each once."""
        if words not in self._told:
            self._told.add(words)
            with suppress(OSError, ValueError):
                sys.stderr.write(f"alma: {words}\n")
                sys.stderr.flush()
