"""Whether a step is ready: asked again and again until it is, or until its deadline.

It stands here and not in a kind: what must hold after a step is the same question for each.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from alma.core.events import LOOKS, Failure, Process
from alma.core.operation import Operation
from alma.core.secret import Secret, mask, secrets_in
from alma.errors import AlmaError, DefinitionError
from alma.steps.base import SeesDrift, StepContext, StepHandler
from alma.steps.callables import call_function, takes_context
from alma.steps.step import Step
from alma.steps.values import code, digest

NO_DRIFT: Final = "no-drift"
_SHOWN: Final = 5
"""Resources that a message names."""


class _NeverError(Exception):
    """It will not become ready by waiting; the message says why."""


class Gate(Struct, frozen=True, kw_only=True):
    """What is asked of a step: each `interval` seconds, for `timeout` at most."""

    where: str
    asked: Any
    timeout: float
    interval: float
    directory: Path

    @property
    def words(self) -> str:
        """What is asked, for people."""
        if self.asked == NO_DRIFT:
            return "a preview plans nothing"
        if isinstance(self.asked, list | tuple):
            return f"{shlex.join(map(str, self.asked))} ends well"
        if callable(self.asked):
            return f"{getattr(self.asked, '__name__', 'its function')} says so"
        return f"{self.asked.method} {self.asked.url.partition('?')[0]} is answered"

    @property
    def digest(self) -> str:
        """Of all that decides its answer."""
        asked = self.asked
        if callable(asked):
            asked = code(asked)
        elif isinstance(asked, list | tuple):
            asked = [str(one) for one in asked]
        elif asked != NO_DRIFT:
            asked = mask(asked.to_json())
        return digest(asked, self.timeout, self.interval)

    def secrets(self) -> Iterator[Secret]:
        """Those that it is asked with."""
        if not callable(self.asked) and not isinstance(self.asked, str | list | tuple):
            yield from secrets_in([self.asked.json, self.asked.headers, self.asked.params])

    def require_seen(self, handler: StepHandler) -> None:
        """Refuse what a step of this kind cannot be asked."""
        if callable(self.asked):
            takes_context(self.asked, f"{self.where}: ready")
        if self.asked == NO_DRIFT and not isinstance(handler, SeesDrift):
            raise DefinitionError(
                f'{self.where}: ready="{NO_DRIFT}" is for steps whose drift can be seen.',
                hint="Give a callable, a Request, or a command as a list of arguments.",
            )

    def require(self) -> None:
        """Refuse, before anything is touched, what cannot be asked here."""
        if isinstance(self.asked, list | tuple):
            self._place().argv([str(one) for one in self.asked])
        elif not callable(self.asked) and self.asked != NO_DRIFT:
            from alma.steps.http.client import require

            require()

    def _place(self) -> Any:
        from alma.steps.command.calling import Place

        return Place(where=f"{self.where}: ready", work_dir=self.directory)

    async def ask(
        self, handler: StepHandler, call: StepContext, operation: Operation
    ) -> tuple[int, Failure | None]:
        """How often it was asked; and why the step has failed, if it has."""
        now = asyncio.get_running_loop().time
        ends, asked, said = now() + self.timeout, 0, "it was never asked"
        inputs = await call.inputs()
        while (left := ends - now()) > 0:
            if operation.interrupt.is_set():
                words = "it was interrupted before it was known whether it is ready"
                return asked, Failure(kind="cancelled", message=words)
            asked += 1
            one = replace(operation, timeout=left)
            try:
                answer = await asyncio.wait_for(
                    self.once(handler, call, one, inputs), left + 2 * operation.grace
                )
            except TimeoutError:
                answer = "no answer"
            except _NeverError as error:
                return asked, Failure(kind="unready", message=f"it is not ready: {error}")
            if not answer:
                return asked, None
            left = ends - now()
            if left > 0 or asked == 1:
                said = answer  # one that was cut off at the end says less
            pause = min(self.interval, left)
            if pause > 0:
                await _wait(operation.interrupt, pause)
        times = "once" if asked == 1 else f"{asked} times"
        words = f"it is not ready after {self.timeout:g} s (asked {times}): {said}"
        return asked, Failure(kind="unready", message=words)

    async def once(
        self,
        handler: StepHandler,
        call: StepContext,
        operation: Operation,
        inputs: Mapping[str, Any],
    ) -> str:
        """Empty where it holds; else what was said."""
        if self.asked == NO_DRIFT:
            return await _drift(handler, call, operation)
        if isinstance(self.asked, list | tuple):
            return await self._command(call, operation, inputs)
        if callable(self.asked):
            return await self._called(call, operation, inputs)
        return await self._requested(call, operation, inputs)

    async def _called(
        self, call: StepContext, operation: Operation, inputs: Mapping[str, Any]
    ) -> str:
        ended = await call_function(self.asked, partial(call.context, "ready", inputs), operation)
        if ended.failure is not None:
            return ended.failure.message
        answer = (
            ended.outputs.get("result") if ended.outputs.keys() <= {"result"} else ended.outputs
        )
        if answer is not None and not isinstance(answer, bool):
            raise _NeverError(
                "its function must return True, False or nothing (or raise), and returned "
                f"{type(answer).__name__}"
            )
        return "its function says no" if answer is False else ""

    async def _requested(
        self, call: StepContext, operation: Operation, inputs: Mapping[str, Any]
    ) -> str:
        from alma.steps.http.client import UnansweredError, send, shown
        from alma.steps.http.filling import UnfilledError, fill

        context = call.context("ready", inputs)
        try:
            request = fill(self.asked, {"inputs": inputs, "outputs": context.result})
        except UnfilledError as error:
            words = f"{self.asked.method} {self.asked.url}"
            raise _NeverError(f"{words} is not sent: {error}") from error
        operation.redact.learn([request.json, request.headers, request.params, request.expect])
        try:
            answer = await send(request, context.key, operation.timeout)
        except UnansweredError as error:
            return f"{shown(request)}: {error}"
        if answer.shows(request.expect):
            return ""
        return f"{shown(request)} was answered {answer.status}"

    async def _command(
        self, call: StepContext, operation: Operation, inputs: Mapping[str, Any]
    ) -> str:
        from alma.steps.command.calling import Calling
        from alma.system.programs import ProgramRunner

        context = call.context("ready", inputs)
        logs = Path(call.logs(operation))
        looks = replace(operation, on_process=partial(_looks, operation))
        calling = Calling(self._place(), ProgramRunner(looks), logs, doubt=False)
        try:
            command = [str(one) for one in self.asked]
            ended = await calling.run("ready", command, context, context.result)
        except (OSError, AlmaError) as error:
            return f"{self.asked[0]} cannot be started: {error}"
        finally:
            calling.close()
        return "" if ended.code == 0 else ended.words


def _looks(operation: Operation, _role: str, process: Process) -> None:
    """Nobody waits for it when the run is taken up again: it changes nothing."""
    operation.on_process(LOOKS, process)


async def _drift(handler: StepHandler, call: StepContext, operation: Operation) -> str:
    assert isinstance(handler, SeesDrift)  # noqa: S101 - `require` refuses others
    changes, failure = await handler.drift(call, operation)
    if failure is not None:
        return failure.message
    named = [f"{one.op} {one.urn}" for one in changes[:_SHOWN]]
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return f"a preview plans {', '.join(named)}{more}" if named else ""


async def _wait(interrupt: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(interrupt.wait(), seconds)
    except TimeoutError:
        return


def gate_of(step: Step) -> Gate | None:
    """What is asked of the step, if anything is."""
    if step.ready is None:
        return None
    return Gate(
        where=step.where,
        asked=step.ready,
        timeout=step.ready_timeout,
        interval=step.ready_interval,
        directory=Path(getattr(step, "work_dir", None) or "").absolute(),
    )
