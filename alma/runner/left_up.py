"""What the runs of a target have left up, by the journal, and what is known to ask it with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from msgspec.structs import replace

from alma.core.definition import INPUTS, Definition
from alma.core.run import Child, RunStatus, SagaState
from alma.core.selection import closed
from alma.errors import AuthenticationError, RefusedError
from alma.journal import Journal
from alma.journal.known import Given, Known, given
from alma.journal.reading import is_the_end, load_run, runs_of
from alma.journal.standing import ITS_OWN, Standing, standings

SAGA = "saga"
"""The kind of a step that is made of runs of other sagas."""


def is_up(standing: Standing) -> bool:
    """Whether by the journal there is anything of the step.

    Of one that a run was cut off at, before it had begun anything, what the run has found there.
    """
    step = standing.step
    if standing.run.kind == "destroy":
        return step.state is not SagaState.COMPLETED
    if step.definition.has_state and step.started is not None and not step.began:
        return step.started.held > 0
    return step.state is not SagaState.COMPENSATED or step.how == "restored"


def newest_of_all(journal: Journal, target: str) -> RunStatus | None:
    """The newest run of a target that is about its steps: a restore is about one alone."""
    rows = journal.runs(limit=None, target=target)
    runs = (load_run(journal, row.run) for row in rows)
    return next((run for run in runs if run.kind != "restore"), None)


def journaled(journal: Journal, last: RunStatus) -> Definition:
    """All steps that a target had, each as its own last run has it.

    Also those that the last run does not know and that no run has taken down: it may have been of
    a file that had them no more.
    """
    target = last.definition.target
    names = [*(step.name for step in last.definition.steps), *last.left_out]
    runs = (run for run in runs_of(journal, target) if not is_the_end(run))
    older = dict.fromkeys(name for run in runs for name in run.steps)
    known = standings(journal, target, {*names, *older}, ITS_OWN)
    of = {name: known[name].run if name in known else last for name in names}
    steps = [run.definition.step(name) for name, run in of.items() if name in run.steps]
    stacks = {step.project for step in steps if step.project}
    for name in older:
        if name not in of and name in known and is_up(known[name]):
            step = known[name].run.definition.step(name)
            # A stack whose step has another name by now is there once.
            steps += [step] if step.project not in stacks else []
    return closed(replace(last.definition, steps=tuple(steps)))


def children_of(journal: Journal, definition: Definition) -> dict[str, dict[str, Child]]:
    """The newest run of each item of a step that is a saga, since all of it was taken down last.

    By step. An item that the saga has no more was not taken down with that.
    """
    found: dict[str, dict[str, Child]] = {}
    names = [step.name for step in definition.steps if step.kind == SAGA]
    for run in runs_of(journal, definition.target) if names else ():
        if not is_the_end(run):
            for step in (run.steps[name] for name in names if name in run.steps):
                found[step.name] = {**step.children, **found.get(step.name, {})}
    return found


class Quiet:
    """That no run is under way, and that none has begun since it was first asked."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}

    def require(self, journal: Journal, last: RunStatus) -> None:
        """RefusedError while somebody is at work: what a run changes would be taken for drift."""
        target = last.definition.target
        self._epochs.setdefault(target, journal.latest_epoch(target))
        if last.served is not None or journal.is_held(target):
            raise RefusedError(
                f"A run of {target} is under way: what it changes would be taken for drift.",
                hint="Look again when it has ended.",
            )

    def still(self, journal: Journal) -> None:
        """RefusedError where one has begun, of which some was seen and some was not."""
        for target, epoch in self._epochs.items():
            if journal.latest_epoch(target) != epoch:
                raise RefusedError(
                    f"A run of {target} has begun meanwhile: what it changes would be taken for "
                    "drift.",
                    hint="Look again when it has ended.",
                )


def known_to_ask(
    journal: Journal, known: Mapping[str, Standing], last: RunStatus
) -> tuple[Known, Given]:
    """The outputs of each step, and what their runs were given, as far as it can be opened."""
    outputs, secret = Known(), Given()
    for standing in known.values():
        if standing.step.outputs or standing.step.sealed:
            outputs.add(journal, standing.step)
    runs = {one.run.run: one.run for one in known.values()} | {last.run: last}
    for run in runs.values():
        with suppress(AuthenticationError):
            one = given(journal, run)
            secret.secrets.extend(one.secrets)
            for name, settings in one.settings.items():
                if name not in known or known[name].run.run == run.run:
                    secret.settings[name] = settings
            outputs.outputs.setdefault(INPUTS, one.outputs.get(INPUTS, {}))
    return outputs, secret
