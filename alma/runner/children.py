"""Runs that are a part of another one: made as any run is, under settings of their own.

The one place where a run makes runs: `start`, `resume` and `preview` are imported in functions,
since they come here by way of `binding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec.structs import replace

from alma.core import events as ev
from alma.core.event_parts import Parent
from alma.core.result import Result
from alma.core.run import RunStatus
from alma.core.selection import Selection
from alma.core.validation import is_known
from alma.errors import RunNotFoundError
from alma.journal.journal import utc_now
from alma.journal.known import known_outputs
from alma.journal.reading import load_run
from alma.runner.recorder import Reporter
from alma.runner.settings import Settings, new_run_id
from alma.steps.nested import Foreseen


class Children:
    """An `alma.steps.nested.Nested`, over the settings of the run that they are a part of."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def new_run(self) -> str:
        """An id that nobody has."""
        return new_run_id(utc_now())

    def find(self, run: str) -> RunStatus | None:
        """As the journal has it now."""
        with suppress(RunNotFoundError), self._settings.open(write=False) as journal:
            journal.run(run)
            return load_run(journal, run)
        return None

    def known(self, parent: str, step: str) -> Sequence[RunStatus]:
        """Those that the runs of the target have named."""
        found = []
        with self._settings.open(write=False) as journal:
            for row in journal.runs(limit=None, target=parent):
                status = load_run(journal, row.run).steps.get(step)
                for child in (status.children if status else {}).values():
                    with suppress(RunNotFoundError):
                        found.append(load_run(journal, journal.run(child.run).run))
        return found

    async def reveal(self, run: str) -> Mapping[str, Mapping[str, Any]]:
        """From the journal, and what is not known there from the steps' own states."""
        from alma.runner.binding import bind_journaled, open_sessions

        with self._settings.open(write=False) as journal:
            status = load_run(journal, run)
            outputs = dict(known_outputs(journal, status).outputs)
        async with open_sessions(
            status.definition, self._settings, last=status, follow=True
        ) as sessions:
            adapters = bind_journaled(status.definition, sessions).adapters
            for step, values in outputs.items():
                sealed = frozenset(name for name in values if not is_known(values[name]))
                if sealed:
                    now = await adapters[step].current_outputs(sealed)
                    outputs[step] = {**values, **{name: now[name] for name in sealed & now.keys()}}
        return outputs

    async def up(self, saga: Any, run: str, parent: Parent, inputs: Mapping[str, Any]) -> Result:
        """It is refused where another run of the target is not over."""
        from alma.runner.start import begin, last_run

        settings = replace(self._under(parent, run), given=inputs)
        return await begin(saga, "up", settings, last_run(saga, settings)[0])

    async def go_on(self, saga: Any, run: str, parent: Parent) -> Result:
        """As `resume`."""
        from alma.runner.resume import go_on

        settings = self._under(parent, run)
        accept = self._settings.accept_changes
        return await go_on(run, None, saga, settings, accept_changes=accept)

    async def undo(self, saga: Any, run: str, parent: Parent) -> Result:
        """As `rollback`."""
        from alma.runner.resume import go_on

        return await go_on(run, "back", saga, self._under(parent, run), accept_changes=True)

    async def destroy(self, saga: Any, run: str, parent: Parent) -> Result:
        """As `alma.destroy`."""
        from alma.runner.start import as_deployed, begin, last_run

        settings = self._under(parent, run)
        last = last_run(saga, settings)[0]
        settings = as_deployed(last, saga, settings)
        return await begin(saga, "destroy", settings, last)

    async def preview(self, saga: Any, inputs: Mapping[str, Any]) -> Foreseen:
        """As `alma-pulumi preview`."""
        from alma.runner.preview import preview

        settings = replace(self._settings, origin="", selection=Selection(), given=inputs)
        found = await preview(saga, settings)
        changes: dict[str, int] = {}
        for step in found.steps:
            for op, count in (step.foreseen.changes or {}).items():
                changes[op] = changes.get(op, 0) + count
        unknown = any(step.unknown or step.foreseen.later for step in found.steps)
        failed = (step.foreseen.failure for step in found.steps if step.foreseen.failure)
        return Foreseen(
            changes=None if unknown else changes,
            steps=tuple(f"{step.name}: {step.foreseen.what}" for step in found.steps),
            undoable=not found.not_undoable,
            at_risk=tuple(one for step in found.steps for one in step.foreseen.at_risk),
            failure=next(failed, None),
        )

    def _under(self, parent: Parent, run: str) -> Settings:
        reporter = self._settings.reporter
        return replace(
            self._settings,
            reporter=_Folded(reporter, parent.step) if reporter is not None else None,
            origin="",
            selection=Selection(),
            parent=parent,
            run_id=run,
            given={},
            repairs=_within(self._settings.repairs, parent),
        )


def _within(repairs: Mapping[str, str], parent: Parent) -> dict[str, str]:
    """What of it is within one item of a step."""
    front = f"{parent.step}/{parent.item}/" if parent.item else f"{parent.step}/"
    return {
        path.removeprefix(front): why for path, why in repairs.items() if path.startswith(front)
    }


class _Folded:
    """Shows a run that is a part of a step as what is under way at that step."""

    def __init__(self, outer: Reporter, step: str) -> None:
        self._outer, self._step = outer, step

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """Each of its steps as if it were a resource."""
        show = partial(self._outer.resource, self._step)
        event, name = entry.event, f"{run.definition.target} {entry.event.step}"
        if isinstance(event, ev.OperationIntended):
            show(name, event.kind, False)  # noqa: FBT003 - the reporter's own
        elif isinstance(event, ev.OperationSucceeded | ev.OperationFailed):
            show(name, event.kind, True)  # noqa: FBT003

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """Folded away."""
