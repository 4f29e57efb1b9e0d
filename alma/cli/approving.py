"""A run that waits for an approval, at a terminal: answered here, or from elsewhere meanwhile."""

from __future__ import annotations

import select
import sys
from datetime import UTC, datetime
from typing import Final

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.core.approval import Approval, either
from alma.core.run import RunStatus
from alma.errors import AlmaError
from alma.journal import open_journal
from alma.journal.reading import view_run
from alma.runner.approve import answer, may_approve
from alma.runner.settings import Settings

PAUSE: Final = 1.0
"""Seconds between two looks at the journal; each reads the events of one run."""

_ANSWERS: Final = {"yes": True, "no": False}


def answered(shared: Invocation, run: RunStatus) -> bool:
    """Wait until it can be gone on: something was answered, or it is too late for an answer.

    False: it is left for later. The run is nobody's meanwhile, so whoever may approve can.
    """
    waiting = [one.approval for one in run.waiting if one.approval is not None]
    mine = next((one for one in waiting if may_approve(one.asked.approvers)), None)
    _say_prompt(mine or waiting[0], mine=mine is not None)
    try:
        while not _has_moved(shared, run):
            ready, _, _ = select.select([sys.stdin] if mine else [], [], [], PAUSE)
            if mine is None or not ready:
                continue
            said = sys.stdin.readline()
            word = said.strip().lower()
            choice = next((one for one in _ANSWERS if word and one.startswith(word)), "")
            if not said or (word and "later".startswith(word)):
                return False
            if choice and _take(shared, run, mine, approved=_ANSWERS[choice]):
                return True
            _say_prompt(mine, mine=True)
    except KeyboardInterrupt:
        return False
    return True


def _say_prompt(asked: Approval, *, mine: bool) -> None:
    step = asked.asked.step
    if mine:
        say(f'Approve "{step}"? (yes, no, later)', err=True)
    else:
        names = either(asked.asked.approvers)
        say(f'Waiting for {names} to approve "{step}" (Ctrl-C: later, by `resume`).', err=True)


def _take(shared: Invocation, run: RunStatus, asked: Approval, *, approved: bool) -> bool:
    """Journal the answer; False where there is none after all."""
    say("Why? It is kept in the journal, with your name.", err=True)
    reason = sys.stdin.readline()
    # A Ctrl-C is: later. Also one that comes when the answer is journaled, and its notice sent.
    settings = Settings(journal=shared.journal, trust=shared.trust, handle_signals=False)
    digest, step = asked.asked.digest, asked.asked.step
    try:
        answer(run.run, step, approved=approved, reason=reason, digest=digest, settings=settings)
    except AlmaError as error:
        say(f"error: {error.message}", err=True)
        return False
    return True


def _has_moved(shared: Invocation, before: RunStatus) -> bool:
    """Whether there is something to go on with, and nobody is at work on the run."""
    with open_journal(shared.where, write=False) as journal:
        view = view_run(journal, before.run)
        if view.runner is not None or journal.is_held(before.definition.target):
            return False
    now = datetime.now(UTC)
    late = any(one.approval and one.approval.is_late(now) for one in view.run.waiting)
    return late or view.run.seq != before.seq
