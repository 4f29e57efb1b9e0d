"""Saying anew when what is there expires, from wherever the journal can be reached."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from alma.core import events as ev
from alma.core.redaction import shortened
from alma.core.run import RunStatus
from alma.core.ttl import NONE, Ttl, later
from alma.errors import DefinitionError
from alma.journal import Journal
from alma.journal.expiry import expiring
from alma.journal.reading import load_run
from alma.runner.lease import take as lease_of
from alma.runner.recorder import Recorder
from alma.runner.redacting import redactor_of
from alma.runner.settings import Settings, actor


class Until(Struct, frozen=True, kw_only=True):
    """One of three: `ttl` from now (or none), `by` so much later than it is, or `at` a moment."""

    ttl: Ttl | None = None
    by: timedelta | None = None
    at: datetime | None = None


def extend(
    reference: str, until: Until, *, reason: str, settings: Settings | None = None
) -> RunStatus:
    """Have what a run has left expire at another time, or not at all; the run as it is then.

    Journaled with name and reason, in the run that says when it expires: where RUN was undone,
    that is an earlier one. Raises DefinitionError where nothing of it expires, or another run came
    after it, RunnerBusyError while somebody is at work on it.
    """
    settings = settings or Settings()
    if not reason.strip():
        raise DefinitionError("A reason is needed: it is what the journal keeps of the decision.")
    with settings.open(write=True) as journal:
        run_id = journal.resolve(reference)
        run = _expiring(journal, run_id)
        target = run.definition.target
        with lease_of(journal, target, run.run) as lease:
            run = _expiring(journal, run_id)
            expiry = ev.Expiry.when(_moment(journal, run, until))
            recorder = Recorder(run, journal, lease, redactor_of(journal, run), None)
            words = shortened(recorder.redact(reason.strip()))
            recorder.record(ev.RunExtended(expiry=expiry, actor=actor(), reason=words))
            return recorder.run


def _expiring(journal: Journal, run_id: str) -> RunStatus:
    """The run that says when what this one has left expires."""
    said = load_run(journal, run_id)
    target = said.definition.target
    found = expiring(journal, target)
    if found is None:
        raise DefinitionError(
            f"Nothing that run {run_id} of {target} has left expires.",
            hint="`alma-pulumi up --ttl TIME` says when it does.",
        )
    run, newest = found.run, found.newest
    if journal.run(run_id).position < journal.run(run.run).position:
        raise DefinitionError(
            f"Run {run_id} is not the one that says when {target} expires: run {run.run} came "
            "after it.",
            hint=f"If that is meant: `alma-pulumi extend {run.word}`.",
        )
    if newest.kind == "destroy":
        raise DefinitionError(
            f"Run {newest.run} has begun to take {target} down, and is {newest.state.name}.",
            hint="`alma-pulumi up` brings all of it up again, with a ttl of its own.",
        )
    return run


def _moment(journal: Journal, run: RunStatus, until: Until) -> datetime | None:
    if until.ttl == NONE:
        return None
    if until.by is not None:
        assert run.expires_at is not None  # noqa: S101 - else it would not expire
        at = later(run.expires_at, until.by)
    elif until.ttl is not None:
        at = later(journal.now(), until.ttl)
    else:
        assert until.at is not None  # noqa: S101 - it is one of the three
        at = until.at
    if at <= journal.now():
        raise DefinitionError(
            f"{at:%Y-%m-%d %H:%M:%S} UTC is over: nothing would be extended by that.",
            hint="--ttl counts from now, --by from when it expires. To take it down: `reap`, or "
            "`destroy`.",
        )
    return at
