"""What earlier processes have left in the journal to be used: outputs, and secrets of the saga."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from alma.core.definition import INPUTS, Definition
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.core.secret import Secret
from alma.core.selection import outside_of
from alma.core.validation import is_whole, unknown_as_secret
from alma.errors import AuthenticationError
from alma.journal import Journal
from alma.journal.reading import load_run


class Known(Struct, frozen=True, kw_only=True):
    """Outputs by step, as they are and never as they are shown.

    What is not known of them is a sealed `Secret`. `locked` says, by step, why what the journal
    keeps sealed cannot be opened here.
    """

    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    locked: dict[str, AuthenticationError] = field(default_factory=dict)

    def add(self, journal: Journal, step: StepStatus) -> None:
        """Take a step's outputs in."""
        outputs = unknown_as_secret(step.outputs)
        if step.sealed:
            try:
                outputs = journal.keys.unseal(step.sealed)
            except AuthenticationError as error:
                self.locked[step.name] = error
        self.outputs[step.name] = outputs


def known_outputs(journal: Journal, run: RunStatus) -> Known:
    """The outputs of the steps of a run."""
    known = Known()
    for step in run.steps.values():
        if step.outputs or step.sealed:
            known.add(journal, step)
    return known


def known_of_earlier_runs(journal: Journal, definition: Definition) -> Known:
    """What a destroy knows of the steps that it takes down; the newest run counts.

    Without their outputs a compensation could not be called.
    """
    known = Known()
    names = {step.name for step in definition.steps} | {*outside_of(definition)}
    for row in journal.runs(limit=None, target=definition.target):
        before = load_run(journal, row.run)
        if before.kind != "up":
            continue
        if INPUTS in names and INPUTS not in known.outputs:
            known.outputs[INPUTS] = given(journal, before).outputs.get(INPUTS, {})
        for step in before.steps.values():
            left = bool(step.outputs) and not step.how  # made, and its undo failed
            wanted = step.name in names and step.name not in known.outputs
            if wanted and (step.state is SagaState.COMPLETED or left):
                known.add(journal, step)
        if before.state is SagaState.COMPLETED and before.is_whole:
            break
    return known


class Given(Struct, frozen=True, kw_only=True):
    """What a run was given, and is kept sealed: `settings` by step, for an undo without its file.

    `parameters` are all that its function was called with, where a mask stands in one of them.
    `outputs` are those of steps that are not in the run, by step: what it began with, it goes on
    with, and undoes with.
    """

    secrets: list[Secret] = field(default_factory=list)
    settings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def and_before(self, before: Given) -> Given:
        """With the secrets that were given before, if any are now: they are still in the world."""
        if not self.secrets and not self.settings:
            return self
        parameters = self.parameters or before.parameters
        old = [secret for secret in before.secrets if secret not in self.secrets]
        return Given(
            secrets=[*self.secrets, *old],
            settings=self.settings,
            parameters=parameters,
            outputs=before.outputs,
        )

    def seal(self, journal: Journal) -> str:
        """For RunCreated and RunResumed; empty where there is nothing to be kept."""
        kept = asdict(self)
        return journal.keys.seal(kept) if any(kept.values()) else ""


def given(journal: Journal, run: RunStatus) -> Given:
    """What the run's saga was given. Raises AuthenticationError without the key."""
    return Given(**journal.keys.unseal(run.sealed)) if run.sealed else Given()


def parameters_of(journal: Journal, run: RunStatus) -> Mapping[str, Any]:
    """What the function of the run's saga was called with, to call it so again.

    Raises AuthenticationError without the key that opens what is masked in it.
    """
    if is_whole(run.parameters):
        return run.parameters
    return given(journal, run).parameters or run.parameters


def secrets_of_earlier_runs(journal: Journal, target: str) -> list[Any]:
    """All that the runs of a target knew to be secret, back to the last that has completed.

    As far as it can be opened. A secret that was changed since is still in the world, and in what
    programs say of it.
    """
    found: list[Any] = []
    for row in journal.runs(limit=None, target=target):
        run = load_run(journal, row.run)
        found.append(known_outputs(journal, run).outputs)
        with suppress(AuthenticationError):
            found += given(journal, run).secrets
        if run.state is SagaState.COMPLETED and run.is_whole:
            break
    return found
