"""What `resume` and `rollback` share: the saga of a run that exists, where it is needed."""

from __future__ import annotations

from alma.cli.options import Invocation
from alma.core.run import RunStatus, SagaState
from alma.errors import DefinitionError
from alma.journal.reading import look
from alma.runner.recorder import Reporter
from alma.runner.settings import Settings
from alma.saga.target import LoadedSaga, load


def saga_for(
    shared: Invocation, reference: str, target: str | None, *, back: bool
) -> LoadedSaga | None:
    """From `target`, else from the file that the journal names; None where none is needed.

    A way back over stacks alone needs only the journal: broken code is a common cause of the
    failure that is to be undone.
    """
    run = look(shared.journal_path, reference).run
    if target is not None:
        return load(target)
    if not _is_needed(run, back=back or run.direction == "back") or not run.origin:
        return None
    try:
        return load(run.origin)
    except DefinitionError as error:
        raise DefinitionError(
            f"The saga of run {run.run} cannot be loaded: {error.message}",
            hint=f"{error.hint} Or give another file with --target.".strip(),
        ) from error


def _is_needed(run: RunStatus, *, back: bool) -> bool:
    if run.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        return False
    if not back:
        return True
    return any(
        step.definition.compensation == "callable" or step.definition.settings.get("secrets")
        for step in run.steps.values()
        if step.started is not None or run.backward_only
    )


def settings(shared: Invocation, loaded: LoadedSaga | None, reporter: Reporter | None) -> Settings:
    """The settings of a run that is taken up again."""
    return Settings(
        journal=shared.journal,
        reporter=reporter,
        origin=loaded.origin if loaded else "",
        modules=loaded.modules if loaded else (),
    )
