"""`--lock-timeout`: while another runner is at work on the saga it is waited for, so long."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import click

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.errors import RunnerBusyError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_PAUSE: Final = 1.0


def _keep(context: click.Context, _parameter: click.Parameter, said: str | None) -> None:
    if said:
        from alma.core.ttl import read_ttl

        found = read_ttl("--lock-timeout", said)
        seconds = found.total_seconds() if isinstance(found, timedelta) else 0.0
        context.ensure_object(Invocation).lock_timeout = seconds


def lock_timeout_option(function: F) -> F:
    """`--lock-timeout`; kept in `Invocation`, not passed on."""
    return click.option(
        "--lock-timeout",
        metavar="TIME",
        help="How long to wait while another runner is at work on the saga: 90s, 10m.  [default: "
        "not at all]",
        expose_value=False,
        callback=_keep,
    )(function)


def in_turn(shared: Invocation, work: Callable[[], T]) -> T:
    """Do it once no other runner is at work; RunnerBusyError where that takes too long.

    It is begun anew each time: what the other one has left is looked at, not what was there before.
    """
    deadline = time.monotonic() + shared.lock_timeout
    while True:
        try:
            return work()
        except RunnerBusyError as busy:
            if not busy.target or time.monotonic() >= deadline:
                raise
            say(f"{busy.message} It is waited for.", err=True)
            _wait(shared, busy.target, deadline)


def _wait(shared: Invocation, target: str, deadline: float) -> None:
    from alma.journal import open_journal

    with open_journal(shared.where, write=False) as journal:
        while (left := deadline - time.monotonic()) > 0 and journal.is_held(target):
            time.sleep(min(_PAUSE, left))
