"""What reaches the supervisor at one moment: the worker itself is `test_operations` and others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from alma.core.events import Process
from alma.core.operation import Operation
from alma.pulumi.messages import Interrupt, Known, Progress, Report, Started
from alma.pulumi.supervisor import Supervisor
from tests.pulumi.test_worker_messages import task

DONE = Report(failure=None, changes={}, resources=())
PROGRESS = Progress("urn", "create", done=True)
STARTED = Started(Process(host="h", pid=2, started=1.0))


class Client:
    """A worker's, whose messages the test says; `sent` is what it was sent."""

    pid = 1

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def receive(self) -> Any:
        return await self.messages.get()


async def turns() -> None:
    """Let all that is ready be done."""
    for _ in range(100):
        await asyncio.sleep(0)


@asynccontextmanager
async def supervised(operation: Operation) -> AsyncIterator[tuple[Client, asyncio.Task[Report]]]:
    """One that waits for its worker."""
    client: Any = Client()
    running = asyncio.create_task(Supervisor(client, task(), operation).run())
    await turns()
    assert len(client.sent) == 1
    yield client, running
    client.messages.put_nowait(DONE)
    assert await asyncio.wait_for(running, 60) == DONE


@pytest.mark.parametrize("first", ["message", "interrupt"])
async def test_an_interrupt_that_comes_with_a_message_is_passed_on(first: str) -> None:
    """And not with the next one, which may be minutes away."""
    told: list[str] = []
    said = asyncio.Event()
    operation = Operation(
        id="o", interrupt=said, on_signal=lambda name, why: told.append(f"{name}: {why}")
    )
    async with supervised(operation) as (client, _):
        if first == "interrupt":
            said.set()
        client.messages.put_nowait(PROGRESS)
        said.set()
        await turns()
        assert (told, client.sent[1:]) == (["SIGINT: interrupt"], [Interrupt()])
        client.messages.put_nowait(PROGRESS)
    assert (told, client.sent[1:]) == (["SIGINT: interrupt"], [Interrupt()])


async def test_a_cli_is_let_begin_once_it_is_journaled() -> None:
    """Else a crash of both would leave one at work of which nobody knows."""
    told: list[str] = []
    client: Any = Client()
    operation = Operation(
        id="o",
        interrupt=asyncio.Event(),
        on_process=lambda role, _: told.append(f"{role}, after {client.sent[1:]}"),
    )
    running = asyncio.create_task(Supervisor(client, task(), operation).run())
    client.messages.put_nowait(STARTED)
    await turns()
    assert (told, client.sent[1:]) == (["cli, after []"], [Known()])
    client.messages.put_nowait(DONE)
    assert await asyncio.wait_for(running, 60) == DONE


async def test_a_cli_that_cannot_be_journaled_is_not_let_begin() -> None:
    def full(_role: str, _process: Process) -> None:
        raise OSError("no space left")

    client: Any = Client()
    operation = Operation(id="o", interrupt=asyncio.Event(), on_process=full)
    client.messages.put_nowait(STARTED)
    with pytest.raises(OSError, match="no space left"):
        await asyncio.wait_for(Supervisor(client, task(), operation).run(), 60)
    assert client.sent == [task()]
