"""What a function's saga was deployed with: by its runs in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from alma.core.run import RunStatus, SagaState
from alma.core.secret import secrets_in
from alma.core.validation import is_whole
from alma.errors import AuthenticationError, DefinitionError
from alma.journal import Journal
from alma.journal.known import parameters_of
from alma.journal.reading import load_run
from alma.saga.given_values import Arguments, journaled_values, read_values
from alma.saga.overrides import split
from alma.saga.target import LoadedSaga, Target


class Deployed(Struct, frozen=True, kw_only=True):
    """A run of the function's saga, and the parameters that it was called with."""

    run: RunStatus
    parameters: Mapping[str, Any]

    def load(self, opened: Target, arguments: Arguments) -> LoadedSaga:
        """The same saga again; DefinitionError where the function makes another one by now."""
        loaded = opened.load(arguments)
        if loaded.saga.target != self.run.definition.target:
            raise DefinitionError(
                f"{opened.name} makes {loaded.saga.target} now, and made "
                f"{self.run.definition.target} in run {self.run.run}.",
                hint="Name the stack with --stack.",
            )
        return loaded


def find_deployed(journal: Journal, opened: Target, said: Arguments) -> Deployed | None:
    """The environment that is meant; None where none of this function is in the journal.

    DefinitionError where several are, or what was said is not what the run was given.
    AuthenticationError where a parameter is sealed and the key is not there.
    """
    runs = _newest(journal, opened.origin)
    meant = [run for run in runs if _has_place(run, said)]
    if not meant:
        return None
    values = read_values(opened.parameters, said, opened.name)
    given = journaled_values(opened.parameters, values, opened.name)
    found = [run for run in meant if _was_given(journal, run, given)]
    if len(found) > 1:
        names = ", ".join(run.definition.target for run in found)
        raise DefinitionError(
            f"{opened.name} was deployed more than once: {names}.",
            hint=f"Say which: --stack {found[0].definition.stack}, or a parameter that tells.",
        )
    if not found:
        found = [run for run in meant if run.definition.target == _told(opened, said, meant)]
    return Deployed(run=found[0], parameters=parameters_of(journal, found[0])) if found else None


def known_parameters(
    journal: Journal, run: RunStatus
) -> tuple[Mapping[str, Any], AuthenticationError | None]:
    """What its function was called with; as far as it can be opened, and why no further."""
    try:
        return parameters_of(journal, run), None
    except AuthenticationError as error:
        return {name: value for name, value in run.parameters.items() if is_whole(value)}, error


def is_of(opened: Target, run: RunStatus) -> bool:
    """Whether the run is one of what TARGET means, on any stack: of that saga, or that function."""
    if opened.saga is not None:
        return opened.saga.name == run.definition.saga
    return _is_same(opened.origin, run.origin)


def _told(opened: Target, said: Arguments, meant: list[RunStatus]) -> str:
    """The target that is made with what is said alone; else the only one there is."""
    try:
        return opened.load(said).saga.target
    except DefinitionError:
        if len(meant) > 1:
            raise
        return meant[0].definition.target


def _newest(journal: Journal, origin: str) -> list[RunStatus]:
    """Of each target of this origin the newest run that was not undone."""
    found: dict[str, RunStatus] = {}
    others: set[str] = set()
    for row in journal.runs(limit=None):
        if row.target in found or row.target in others:
            continue
        run = load_run(journal, row.run)
        if not _is_same(origin, run.origin):
            others.add(row.target)
        elif run.state is not SagaState.COMPENSATED:
            found[row.target] = run
    return list(found.values())


def _is_same(origin: str, before: str) -> bool:
    """Whether that is this function: where its file was, or has moved from (another checkout)."""
    file, _, name = before.rpartition(":")
    gone = not Path(file if name.isidentifier() else before).exists()
    return origin == before or (gone and Path(origin).name == Path(before).name)


def _has_place(run: RunStatus, said: Arguments) -> bool:
    organization, stack = said.organization, ""
    if said.stack:
        stack, organization = split(said.stack, said.organization)
    plan = run.definition
    return stack in ("", plan.stack) and organization in ("", plan.organization)


def _was_given(journal: Journal, run: RunStatus, given: Mapping[str, Any]) -> bool:
    if any(True for _ in secrets_in(given)):
        try:
            known = parameters_of(journal, run)
        except AuthenticationError:
            known = run.parameters
            given = {name: one for name, one in given.items() if not any(secrets_in(one))}
    else:
        known = run.parameters
    return all(name not in known or known[name] == value for name, value in given.items())
