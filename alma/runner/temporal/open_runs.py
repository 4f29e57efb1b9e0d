"""The runs that a worker has open: each once, for all that is done about it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from msgspec import Struct

from alma.errors import AlmaError, JournalError, RunNotFoundError, StaleEpochError
from alma.runner.temporal.here import Here, OtherCodeError
from alma.runner.temporal.opening import open_here
from alma.runner.temporal.orders import Lead
from alma.runner.temporal.served import Served

LINGER: Final = 30.0
"""Seconds for which a run stays open that nothing is done about."""


class _Open(Struct, kw_only=True):
    here: Here
    opened: AsyncExitStack
    used: int = 0
    closing: asyncio.TimerHandle | None = None


class OpenRuns:
    """By run and epoch."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], _Open] = {}
        self._opening: dict[tuple[str, int], asyncio.Lock] = {}

    @asynccontextmanager
    async def here(self, lead: Lead, served: Served) -> AsyncIterator[Here]:
        """The run, which is kept open for a while afterwards."""
        key = lead.run, lead.epoch
        async with self._opening.setdefault(key, asyncio.Lock()):
            one = self._open.get(key)
            if one is not None and one.here.broken and not one.used:
                await self._close(key)
                one = None
            if one is None:
                opened = AsyncExitStack()
                here = await opened.enter_async_context(_opened(lead, served))
                one = self._open[key] = _Open(here=here, opened=opened)
            one.used += 1
            if one.closing is not None:
                one.closing.cancel()
        try:
            yield one.here
        finally:
            one.used -= 1
            if not one.used:
                run = one.here.run
                over = run.state.is_final or run.suspended
                loop = asyncio.get_running_loop()
                later = 1.0 if over else LINGER
                one.closing = loop.call_later(later, lambda: loop.create_task(self._close(key)))

    async def _close(self, key: tuple[str, int]) -> None:
        one = self._open.get(key)
        if one is not None and not one.used:
            del self._open[key]
            if not self._opening[key].locked():
                del self._opening[key]
            with suppress(AlmaError):
                await one.opened.aclose()

    async def close(self) -> None:
        """Let go of all of them."""
        for key in list(self._open):
            await self._close(key)


@asynccontextmanager
async def _opened(lead: Lead, served: Served) -> AsyncIterator[Here]:
    """The run. Somebody could begin it: what is wrong now is wrong with this worker alone."""
    async with AsyncExitStack() as opened:
        try:
            here = await opened.enter_async_context(open_here(lead, served))
        except (JournalError, RunNotFoundError, StaleEpochError):
            raise
        except AlmaError as error:
            raise OtherCodeError(error.message, hint=error.hint) from error
        yield here
