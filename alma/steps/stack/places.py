"""In which backend each stack of a saga is, by what its last run has left in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

from alma.core.definition import StepDefinition
from alma.core.redaction import without_credentials
from alma.core.run import RunStatus
from alma.core.secret import MASK, Secret
from alma.errors import DefinitionError
from alma.steps.base import SessionOptions

OF_BACKEND: Final = ("backend", "credentials")
"""Of a step's settings, what says where its stack is."""


class Places(Struct, frozen=True, kw_only=True):
    """`run` is the backend of the last run, `steps` by project what its steps have of their own.

    With `follow` a stack is looked for where it was, whatever its project says by now.
    """

    run: str = ""
    steps: Mapping[str, tuple[StepDefinition, str, str]] = {}
    """By project, with the backend that its run had and the id of that run."""
    id: str = ""
    follow: bool = False

    @classmethod
    def of(cls, asked: SessionOptions) -> Self:
        """As the last run has left it; where its directory was moved since, there."""
        last = asked.last
        if last is None:
            return cls()
        from alma.pulumi.backend import moved

        steps = {}
        for run in reversed((last, *asked.before)):
            there = moved(without_credentials(run.backend), asked.journal)
            kept = (step for step in run.definition.steps if step.project)
            steps.update({step.project: (step, there, run.run) for step in kept})
        there = moved(without_credentials(last.backend), asked.journal)
        return cls(run=there, steps=steps, id=last.run, follow=asked.follow)

    def own(self, step: StepDefinition) -> str:
        """The URL of the step's own backend; empty where it has none."""
        before, _, _ = self._before(step) if self.follow else (None, "", "")
        if before is not None and MASK not in backend_in(before):
            return backend_in(before)
        return backend_in(step)

    def require(self, step: StepDefinition, where: str) -> None:
        """Raise DefinitionError unless the stack's state is still there: it would be made twice."""
        before, there, run = self._before(step)
        kept = (before.backend if before else "") or there
        if before is None and step.backend:
            return  # a new step, in a backend of its own
        from alma.pulumi.backend import is_same

        if not kept or is_same(kept, where):
            return
        known = "" if MASK in kept else f"={kept}"
        hint = f"To work on what is there, set PULUMI_BACKEND_URL{known}."
        if not self.follow:
            hint += " To begin anew, and leave that as it is, give --accept-backend."
        raise DefinitionError(
            f'Step "{step.name}": its stack {step.project} is in {kept} since run {run}, '
            f"not in {where}.",
            hint=hint,
        )

    def _before(self, step: StepDefinition) -> tuple[StepDefinition | None, str, str]:
        return self.steps.get(step.project) or (None, self.run, self.id)


def require_organization(organization: str, where: str) -> None:
    """Raise DefinitionError where the backend knows no organizations but the one of its own."""
    if organization in ("", "organization") or where.startswith(("http://", "https://")):
        return
    raise DefinitionError(
        f"The backend {where} has no organizations, and the saga is for {organization}.",
        hint="Leave the organization out, or log in to Pulumi Cloud (`pulumi login`).",
    )


def told_of_backend(url: str) -> dict[str, Any]:
    """What of a step's own backend its definition has: as it may be seen, and its credentials."""
    shown = without_credentials(url)
    if not url:
        return {}
    return {"backend": shown} if shown == url else {"backend": shown, "credentials": Secret(url)}


def backend_in(step: StepDefinition) -> str:
    """The URL with its credentials, where they are at hand."""
    whole = step.settings.get("credentials")
    return str(whole.value) if isinstance(whole, Secret) else step.backend


def backends_of(run: RunStatus, journal: Path) -> Mapping[str, str]:
    """By name of the step, where the stacks of a run are; empty where that is not known."""
    from alma.pulumi.backend import moved

    there = moved(without_credentials(run.backend), journal)
    return {step.name: step.backend or there for step in run.definition.steps if step.project}
