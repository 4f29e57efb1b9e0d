"""What every kind of step has, the references between steps, and the options of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypedDict

from alma.core.definition import Kind, Retry, StepDefinition
from alma.core.validation import check_key, check_name, check_seconds, check_value
from alma.errors import DefinitionError


@dataclass(frozen=True)
class Output:
    """A reference to an output of a step, to be used as an input of another one."""

    step: str
    name: str
    owner: object = field(default=None, repr=False, compare=False)
    """Whose step it is of; None in a reference that is made from the journal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What every kind of step has. Made by `Saga.add_*`; times are seconds."""

    kind: ClassVar[Kind]
    name: str
    owner: object = field(repr=False, compare=False)
    """The saga that it is a step of: to a step no more than a token, the same one or another."""
    after: tuple[str, ...] | None
    inputs: Mapping[str, Any]
    retry: Retry
    compensation_retry: Retry
    timeout: float | None
    compensation_timeout: float | None
    pivot: bool

    def output(self, name: str) -> Output:
        """The output of that name, for `inputs={"...": step.output("...")}` of another step."""
        return Output(self.name, name, self.owner)

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """What this step alone may work on, as kind and name: no other step has the same."""
        return ()

    @classmethod
    @contextmanager
    def prewarm(cls, steps: Sequence[Self], stack: str) -> Iterator[None]:  # noqa: ARG003 - one for all
        """Start what takes long ahead of what runs these steps; by default there is nothing."""
        yield

    def kind_fields(self) -> dict[str, Any]:
        """The fields of its `StepDefinition` that only this kind of step has."""
        raise NotImplementedError

    def define(self, previous: str | None) -> StepDefinition:
        """The step as data; `previous` is the one that was added before it."""
        sources = {ref.step for ref in self.inputs.values() if isinstance(ref, Output)}
        if self.after is None and not sources:
            dependencies = {previous} if previous else set()
        else:
            dependencies = sources | set(self.after or ())
        return StepDefinition(
            name=self.name,
            kind=self.kind,
            dependencies=tuple(sorted(dependencies)),
            inputs={
                key: f"{value.step}.{value.name}" if isinstance(value, Output) else "value"
                for key, value in sorted(self.inputs.items())
            },
            retry=self.retry,
            compensation_retry=self.compensation_retry,
            timeout=self.timeout,
            compensation_timeout=self.compensation_timeout,
            pivot=self.pivot,
            **self.kind_fields(),
        )


@contextmanager
def prewarmed(steps: Sequence[Step], stack: str) -> Iterator[None]:
    """Whatever the kinds of these steps start ahead; `stack` is the saga's."""
    with ExitStack() as begun:
        for kind in dict.fromkeys(type(step) for step in steps):
            own = [step for step in steps if type(step) is kind]
            begun.enter_context(kind.prewarm(own, stack))
        yield


class StepOptions(TypedDict, total=False):
    """Options of every `Saga.add_*`; times are seconds for each attempt.

    `inputs`: outputs of other steps, JSON values or `Secret`s. `after`: steps to wait for, beside
    those whose outputs are consumed; empty starts at once. `retry` is for the action,
    `compensation_retry` for its undo. `pivot`: once it has completed, nothing is undone any more.
    """

    inputs: Mapping[str, Any] | None
    after: Iterable[Step | str] | None
    retry: Retry | None
    compensation_retry: Retry | None
    timeout: float | None
    compensation_timeout: float | None
    pivot: bool


def check_variables(where: str, variables: Mapping[str, Any], options: StepOptions) -> None:
    """Refuse values that are no JSON, and names that are given as input too."""
    for key, value in variables.items():
        check_value(f"{where}: variable {key!r}", value)
    both = set(variables) & set(options.get("inputs") or {})
    if both:
        raise DefinitionError(f"{where}: {min(both)!r} is given as variable and as input.")


def step_options(
    owner: object,
    where: str,
    name: str,
    *,
    inputs: Mapping[str, Any] | None = None,
    after: Iterable[Step | str] | None = None,
    retry: Retry | None = None,
    compensation_retry: Retry | None = None,
    timeout: float | None = None,
    compensation_timeout: float | None = None,
    pivot: bool = False,
) -> dict[str, Any]:
    """The fields that they make of a `Step`; DefinitionError for what cannot be right."""
    for key, value in (inputs or {}).items():
        check_key(where, key)
        if not isinstance(value, Output):
            check_value(f"{where}: input {key!r}", value)
        elif value.owner is not owner:
            raise DefinitionError(
                f"{where}: input {key!r} is an output of another saga "
                f'("{_name(value.owner)}"), not of "{_name(owner)}".'
            )
    for what, policy in (("retry", retry), ("compensation_retry", compensation_retry)):
        if policy is not None and not isinstance(policy, Retry):
            raise DefinitionError(f"{where}: {what} must be a Retry, not {policy!r}.")
    return {
        "name": name,
        "owner": owner,
        "after": None if after is None else _names(owner, where, after),
        "inputs": dict(inputs or {}),
        "retry": retry or Retry(),
        "compensation_retry": compensation_retry or Retry(),
        "timeout": check_seconds(f"{where}: timeout", timeout),
        "compensation_timeout": check_seconds(
            f"{where}: compensation_timeout", compensation_timeout
        ),
        "pivot": bool(pivot),
    }


def _name(owner: object) -> str:
    return getattr(owner, "name", "")


def _names(owner: object, where: str, after: Iterable[Step | str]) -> tuple[str, ...]:
    if isinstance(after, str | Step):
        after = [after]
    names = []
    for entry in after:
        if isinstance(entry, Step) and entry.owner is not owner:
            raise DefinitionError(f'{where}: after names "{entry.name}" of another saga.')
        names.append(entry.name if isinstance(entry, Step) else check_name("step", entry))
    return tuple(dict.fromkeys(names))
