"""Which display a run gets: a live view on a terminal, plain lines in a pipe, none for JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from alma.cli.options import Invocation
from alma.runner.recorder import Reporter


@contextmanager
def progress(shared: Invocation) -> Iterator[Reporter | None]:
    """A reporter for as long as the run goes on; the terminal is as before after it."""
    if shared.json:
        yield None
    elif _can_move_its_cursor():
        from alma.cli.live import LiveView

        with LiveView() as view:
            yield view
    else:
        from alma.cli.lines import Lines

        yield Lines()


def _can_move_its_cursor() -> bool:
    stream = sys.stdout
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
