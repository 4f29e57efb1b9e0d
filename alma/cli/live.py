"""The display of a run on a terminal: one line a step, drawn in place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from alma.core import events as ev
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.reports import text as words
from alma.reports.expiry import expires
from alma.reports.report import state_in

_LOOK: Final = {
    SagaState.PENDING: ("·", "dim"),
    SagaState.RUNNING: ("▶", "cyan"),
    SagaState.COMPENSATING: ("◀", "magenta"),
    SagaState.COMPLETED: ("✓", "green"),
    SagaState.FAILED: ("✗", "red"),
    SagaState.COMPENSATED: ("↩", "yellow"),
}
_ASCII: Final = dict(zip(SagaState, (".", ">", "<", "+", "x", "-"), strict=True))
_PER_SECOND: Final = 8


@dataclass(slots=True)
class Row:
    """One step as it is drawn. `began` is a monotonic time while an operation is under way."""

    name: str
    state: SagaState = SagaState.PENDING
    began: float | None = None
    seconds: float = 0.0
    remark: str = ""
    active: dict[str, str] = field(default_factory=dict)


class LiveView:
    """An `alma.runner.recorder.Reporter` and a context manager: the cursor is back after it.

    What is drawn is taken away at the end; the report that follows says it all, and in full.
    """

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or Console(highlight=False)
        self._clock = clock
        self._began = clock()
        self._head = ""
        self._where = ""
        self._notice = ""
        self._rows: dict[str, Row] = {}
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """Take the event into what is drawn."""
        self._head = f"{words.name(run.definition.target)}  {run.kind}  {run.state.name}"
        if isinstance(entry.event, ev.RunnerAttached):
            self._where = ", ".join(filter(None, (state_in(run), expires(run))))
        if isinstance(entry.event, ev.InterruptReceived):
            self._notice = (
                "stopping now"
                if entry.event.count > 1
                else "interrupted: no new step starts; Ctrl-C once more stops now"
            )
        for step in run.steps.values():
            self._take(step)

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """Show the resource that is being worked on."""
        row = self._rows.get(step)
        if row is None:
            return
        active = dict(row.active)  # the drawing thread may be reading the other one
        active.pop(urn, None)
        if not done:
            active[urn] = op
        row.active = active

    def _take(self, step: StepStatus) -> None:
        row = self._rows.get(step.name)
        if row is None:
            row = Row(words.name(step.name))
            self._rows = {**self._rows, step.name: row}
        row.state, row.seconds = step.state, step.seconds
        if step.open is None:
            row.began, row.active = None, {}
        elif row.began is None:
            row.began = self._clock()
        failure = step.undo_failure or step.failure
        row.remark = words.one_line(failure.message) if failure else words.changes(step.changes)
        if step.state is SagaState.COMPENSATED:
            row.remark = step.how

    # -- drawing -----------------------------------------------------------------------------

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """One line for each step, never wrapped, and no more lines than the terminal has."""
        width = max(options.max_width - 1, 10)
        now = self._clock()
        rows = list(self._rows.values())
        name = min(max((len(row.name) for row in rows), default=0), max(width // 3, 8))
        head = f"{self._head}  {words.duration(now - self._began)}  {self._where}"
        yield _line(head.rstrip(), "bold", width)
        for row in _fitting(rows, (options.max_height or 25) - 3):
            yield self._step(row, name, width, now)
        if self._notice:
            yield _line(self._notice, "yellow", width)

    def _step(self, row: Row, name: int, width: int, now: float) -> Text:
        symbol, style = _LOOK[row.state]
        if not (self._console.encoding or "").lower().startswith("utf"):
            symbol = _ASCII[row.state]
        spent = row.seconds + (now - row.began if row.began is not None else 0.0)
        time_ = words.duration(spent) if spent else ""
        doing = _doing(row.active) or row.remark
        text = f" {words.cut(row.name, name):{name}}  {row.state.name:12}  {time_:>7}  {doing}"
        line = Text(symbol, style=style, no_wrap=True, overflow="ellipsis")
        line.append(text.rstrip(), style="" if row.state is not SagaState.PENDING else "dim")
        line.truncate(width, overflow="ellipsis")
        return line


def _doing(active: dict[str, str]) -> str:
    if not active:
        return ""
    urn, op = next(reversed(active.items()))
    more = f" and {len(active) - 1} more" if len(active) > 1 else ""
    return f"{op} {words.resource(urn)}{more}"


def _line(text: str, style: str, width: int) -> Text:
    line = Text(text, style=style, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line


def _fitting(rows: list[Row], height: int) -> list[Row]:
    """The rows that fit, those first that something is being done about."""
    if len(rows) <= height:
        return rows
    busy = (SagaState.RUNNING, SagaState.COMPENSATING, SagaState.FAILED)
    chosen = sorted(rows, key=lambda row: row.state not in busy)[: max(height, 1)]
    return [row for row in rows if any(row is other for other in chosen)]
