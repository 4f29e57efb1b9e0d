"""What an approval is about: what the steps that come after it would do, as things are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, to_builtins

from alma.core import events as ev
from alma.core.approval import Plan, Planned
from alma.core.redaction import shortened
from alma.core.run import SagaState
from alma.errors import RefusedError
from alma.runner.inputs import Reveal, resolve
from alma.runner.recorder import Recorder
from alma.steps.base import Outcome, StepHandler, StepPreview
from alma.steps.step import Output


class Foresight(Struct, kw_only=True):
    """Of one step of a run: it looks ahead, asks, and names the runs that are a part of it."""

    step: str
    recorder: Recorder
    adapters: Mapping[str, StepHandler]
    outputs: dict[str, Mapping[str, Any]]
    reveal: Reveal

    async def foresee(self) -> Plan:
        """One step after the other, as `preview` does; one that cannot be foreseen is told so."""
        plan = self.recorder.run.definition
        parts: list[Any] = [to_builtins(plan.step(self.step)), to_builtins(plan.aws)]
        steps = []
        for name in plan.after(self.step):
            inputs, unknown = await self._inputs(name)
            foreseen = await self._look(name, None if unknown else inputs)
            steps.append(self._planned(name, foreseen, unknown))
            parts += [to_builtins(plan.step(name)), inputs, unknown, _decided(foreseen)]
        return Plan(digest=self.recorder.digest(parts), steps=tuple(steps))

    def adopt(self, item: str, run: str, target: str) -> None:
        """Record it: whoever goes on finds the run again, or sees that it never began."""
        event = ev.ChildStarted(step=self.step, run=run, target=target, item=item)
        self.recorder.record(event)

    def ask(self, approvers: Sequence[str], timeout: float | None, plan: Plan) -> None:
        """Record it: who asks next knows since when, and about what."""
        self.recorder.record(
            ev.ApprovalAsked(
                step=self.step,
                digest=plan.digest,
                approvers=tuple(approvers),
                timeout=timeout,
                plan=plan.steps,
            )
        )

    async def _inputs(self, name: str) -> tuple[dict[str, Any], list[str]]:
        """What is known by now of what the step is given, and the outputs that are not there yet.

        All that does not come after the approval has ended when it is asked.
        """
        known, unknown, run = {}, [], self.recorder.run
        for key, source in self.adapters[name].inputs.items():
            at_hand = not isinstance(source, Output) or (
                source.step not in run.steps or run.steps[source.step].state is SagaState.COMPLETED
            )
            if at_hand:
                known[key] = source
            else:
                unknown.append(f"{source.step}.{source.name}")
        values = await resolve(known, run, self.outputs, self.reveal)
        self.recorder.redact.learn(values)
        return values, sorted(set(unknown))

    async def _look(self, name: str, inputs: Mapping[str, Any] | None) -> StepPreview:
        try:
            return await self.adapters[name].preview(inputs)
        except RefusedError:
            raise
        except Exception as error:  # noqa: BLE001 - a kind's own may raise anything
            failure = Outcome.raised(error).failure
            return StepPreview(what="", undo="", undoable=False, failure=failure)

    def _planned(self, name: str, foreseen: StepPreview, unknown: list[str]) -> Planned:
        redact, failure = self.recorder.redact, foreseen.failure
        return Planned(
            step=name,
            what=shortened(redact(foreseen.what)),
            changes=foreseen.changes,
            unknown=tuple(unknown),
            error=shortened(redact(failure.message)) if failure else "",
        )


def _decided(foreseen: StepPreview) -> list[Any]:
    """What of a preview makes it another one: not the order, and not the words of a failure."""
    touched = sorted([one.op, one.urn, one.id] for one in foreseen.resources)
    changes = None if foreseen.changes is None else sorted(foreseen.changes.items())
    failed = foreseen.failure.kind if foreseen.failure else ""
    return [foreseen.what, foreseen.way, changes, touched, failed]
