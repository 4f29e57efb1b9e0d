"""Steps that say how the run goes on, and make nothing by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from alma.core.definition import INPUTS, Retry
from alma.core.validation import check_key
from alma.errors import DefinitionError
from alma.saga.tools import ToolSteps
from alma.steps.by_path import ByPath
from alma.steps.step import Output, Step

if TYPE_CHECKING:
    from alma.steps.approval.step import ApprovalStep
    from alma.steps.saga.step import SagaStep


class FlowSteps(ToolSteps):
    """As `ToolSteps`, and a method for each of them."""

    def add_saga(
        self,
        name: str,
        saga: FlowSteps | Callable[[str], FlowSteps],
        *,
        for_each: Iterable[str] | Output | None = None,
        at_once: int = 4,
        inputs: Mapping[str, Any] | None = None,
        after: Iterable[Step | str] | None = None,
        retry: Retry | None = None,
        compensation_retry: Retry | None = None,
        pivot: bool = False,
    ) -> SagaStep:
        """Add a whole saga as one step: a run of its own, undone as a whole if this one turns back.

        With `for_each` (names, or an output of another step that is a list of them) `saga` is a
        function that is called with each, and returns its saga, with a name or a stack of its own;
        `at_once` are under way at a time. `inputs` are what its steps take by `saga.input(name)`.
        Its outputs are `step.name`, with `for_each` `item.step.name`.
        """
        from alma.steps.saga.items import EACH, items_of
        from alma.steps.saga.step import SagaStep

        values, where = dict(inputs or {}), f'Step "{name}"'
        by_path = saga if isinstance(saga, ByPath) else None  # not imported before the run
        make: Callable[..., Any] | None = by_path
        if EACH in values:
            raise DefinitionError(f'{where}: an input cannot be called "{EACH}".')
        sagas: dict[str, Any] = {}
        if for_each is None:
            sagas = {} if by_path else {"": saga}
        elif not callable(saga):
            raise DefinitionError(
                f"{where}: with for_each, give a function that takes an item and returns its Saga."
            )
        elif isinstance(for_each, Output):
            values[EACH], make = for_each, saga
        elif by_path:
            values[EACH] = list(items_of(where, for_each))
        else:
            make = saga
            sagas = {item: saga(item) for item in items_of(where, for_each)}
        return self.add(
            SagaStep(
                name=name,
                sagas=sagas,
                make=make,
                at_once=at_once,
                alone=by_path is not None and for_each is None,
                inputs=values,
                after=after,
                pivot=pivot,
                retry=retry or Retry(),
                compensation_retry=compensation_retry or Retry(),
            )
        )

    def input(self, name: str) -> Output:
        """What the saga is given by the one that it is a step of: `add_saga(inputs={...})`."""
        return Output(INPUTS, str.__str__(check_key(f'Saga "{self.name}"', name)), self)

    def add_approval(
        self,
        name: str,
        approvers: Iterable[str],
        *,
        timeout: float | None = None,
        after: Iterable[Step | str] | None = None,
    ) -> ApprovalStep:
        """Add a step at which the run waits until one of `approvers` agrees to what comes after it.

        They are names as `alma-pulumi approve` has them: of the user of the system, or ALMA_ACTOR.
        Asked last, when nothing else can go on; without a terminal the run stops there, and
        `resume` goes on once it is approved. What was approved is the plan of that moment: where it
        is another one by then, it is asked again. Refused, or `timeout` seconds after it was asked,
        the run turns back.
        """
        from alma.steps.approval.step import ApprovalStep

        return self.add(ApprovalStep(name=name, approvers=approvers, timeout=timeout, after=after))
