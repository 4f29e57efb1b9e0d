"""What the operations of a run have said, as far as it may be seen; of much the last part."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from alma.journal.reading import view_run
from alma.reports.text import command_line, quoted
from alma.runner.operation_logs import operation_logs
from alma.web.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from alma.runner.operation_logs import LoggedOperation, LogLine

MOST: Final = 5000
"""Lines on a page."""


class LoggedFile(Struct, frozen=True, kw_only=True):
    """A file of a log; without a name it is why there is none."""

    operation: LoggedOperation
    name: str
    text: str


def page(site: Site, request: Request) -> Response:
    """`/runs/RUN/logs` of all steps, `/runs/RUN/logs/STEP` of one."""
    step = request.path_params.get("step", "")
    kept: deque[LogLine] = deque(maxlen=MOST)
    lines = 0
    with site.open() as journal:
        view = view_run(journal, journal.run(request.path_params["run"]).run)
        for line in operation_logs(journal, view.run.run, step):
            lines += 1
            kept.append(line)
    words = f"logs {view.run.word}" + (f" {quoted(step)}" if step else "")
    return site.page(
        "logs.html",
        title=f"Logs of {step or view.run.definition.target}",
        view=view,
        step=step,
        files=list(_files(kept)),
        left_out=max(lines - MOST, 0),
        command=command_line(words, site.told),
        live=view.driven,
    )


def _files(lines: Iterable[LogLine]) -> Iterator[LoggedFile]:
    for _, (first, *more) in groupby(lines, key=lambda line: (line.operation.id, line.file)):
        text = "\n".join(line.text for line in (first, *more))
        yield LoggedFile(operation=first.operation, name=first.file, text=text)
