"""The options that every kind of step takes, and their checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from alma.core.definition import Retry
from alma.core.validation import check_key, check_name, check_seconds, check_value
from alma.errors import DefinitionError
from alma.steps.step import Output, Step


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
