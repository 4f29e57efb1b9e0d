"""A loop in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import NoReturn

import pytest

from alma.runner.temporal.own_loop import OwnLoop


async def test_work_is_done_in_another_thread_from_the_beginning_to_the_end() -> None:
    async def where() -> int:
        return threading.get_ident()

    with OwnLoop() as own:
        there = await own.begin(where())
        assert await own.begin(where()) == there != threading.get_ident()


def test_one_that_is_asked_for_nothing_ends() -> None:
    with OwnLoop():
        pass


def test_who_can_have_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio, "new_event_loop", refused)
    with pytest.raises(OSError, match="Too many open files"), OwnLoop():
        pass
