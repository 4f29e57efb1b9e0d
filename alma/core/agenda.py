"""What the next decision turns on, kept up as events come in: no decision walks over all steps."""

from __future__ import annotations

from bisect import bisect_left, insort

from alma.core.dag import topological
from alma.core.run import RunStatus, SagaState, StepStatus


class ReadySet:
    """Made of a run's state, then told of each step that an event has changed (`follow`).

    `ready` are the steps that are not completed and wait for none that is not, as places in
    `order`, ascending; `failed` and `doubtful` the steps that are so, by name.
    """

    def __init__(self, run: RunStatus) -> None:
        plan = run.plan
        self.order = topological(plan)
        self._plan, self._places = plan, {name: place for place, name in enumerate(self.order)}
        self._lacks = {step.name: len(set(step.dependencies)) for step in plan.steps}
        self._completed: set[str] = set()
        self.ready = [place for place, name in enumerate(self.order) if not self._lacks[name]]
        self.failed: set[str] = set()
        self.doubtful: set[str] = set()
        for step in run.steps.values():
            self.follow(step)

    def follow(self, step: StepStatus) -> None:
        """Take in what the step is now."""
        name, completed = step.name, step.state is SagaState.COMPLETED
        if completed is not (name in self._completed):
            self._turn(name, completed=completed)
        _keep(self.failed, name, so=step.state is SagaState.FAILED)
        _keep(self.doubtful, name, so=step.in_doubt and step.open is not None)

    def _turn(self, name: str, *, completed: bool) -> None:
        _keep(self._completed, name, so=completed)
        if not self._lacks[name]:
            self._list(name, ready=not completed)
        for dependent in self._plan.dependents(name):
            before = self._lacks[dependent]
            self._lacks[dependent] = after = before - 1 if completed else before + 1
            if not (before and after) and dependent not in self._completed:
                self._list(dependent, ready=not after)

    def _list(self, name: str, *, ready: bool) -> None:
        place = self._places[name]
        if ready:
            insort(self.ready, place)
        else:
            del self.ready[bisect_left(self.ready, place)]


def _keep(names: set[str], name: str, *, so: bool) -> None:
    if so:
        names.add(name)
    else:
        names.discard(name)
