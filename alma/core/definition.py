"""What a saga is once it is frozen: plain data, the same in memory and in the journal.

Nothing here can be called: programs and callables stay with the `Saga`. So a run can be
understood, and its stacks undone, from the journal alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import force_setattr

from alma.errors import DefinitionError

FailurePolicy = Literal["compensate", "stop"]

DEFAULT_URL: Final = "http://localhost:4566"
"""Where LocalStack listens unless it is told otherwise."""

_REGION: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """How often an operation is tried, and how long to wait in between.

    `attempts` counts the first try as well. Before attempt n (n >= 2) the runner waits
    `delay * factor ** (n - 2)` seconds, at most `max_delay` seconds.
    """

    attempts: int = 1
    # What was written without a fraction stays so: the digest is taken over it.
    delay: int | float = 1.0
    factor: int | float = 2.0
    max_delay: int | float = 60.0

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise DefinitionError(f"Retry: attempts must be a whole number, not {self.attempts!r}.")
        if self.attempts < 1:
            raise DefinitionError(f"Retry: attempts must be at least 1, not {self.attempts}.")
        for name in ("delay", "factor", "max_delay"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
                raise DefinitionError(f"Retry: {name} must be a number of 0 or more, not {value}.")

    def wait_before(self, attempt: int) -> float:
        """Seconds to wait before this attempt (the first is 1)."""
        if attempt <= 1:
            return 0.0
        try:
            return float(min(self.delay * self.factor ** (attempt - 2), self.max_delay))
        except OverflowError:
            return self.max_delay


class LocalStack(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a LocalStack listens; AWS steps of a saga with `aws=LocalStack(...)` go there.

    Without a `url` it is the one in the environment variable AWS_ENDPOINT_URL, as for
    LocalStack's own `pulumilocal` and `tflocal`, or http://localhost:4566. `region` is what
    resources are made in. Raises DefinitionError for what is no http or https URL of a host.
    """

    url: str = ""
    region: str = "us-east-1"

    def __post_init__(self) -> None:
        given = self.url or os.environ.get("AWS_ENDPOINT_URL") or DEFAULT_URL
        force_setattr(self, "url", _checked_url(given))
        if not _REGION.fullmatch(str(self.region)):
            raise DefinitionError(
                f"LocalStack: {self.region!r} cannot be an AWS region.",
                hint="Give one as AWS names them, for example us-east-1.",
            )


INPUTS: Final = ".inputs"
"""As if a step had given it: what a saga is given by the one that it is a step of."""


class StepDefinition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One step as data. `dependencies` are the names of the steps it waits for, resolved."""

    name: str
    kind: str
    """By which its class is found: see `alma.steps.registry`."""
    dependencies: tuple[str, ...] = ()
    project: str = ""
    work_dir: str = ""
    """Absolute path of the user's Pulumi project or Terraform module, or empty."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Input name to `step.output`, or to `value` for a literal; literals are not kept."""
    compensation: str = "destroy"
    """How it is undone, in a word. `callable`: by a function, which no journal can keep; `nothing`:
    its author says that there is nothing to undo; `none`: nobody says how."""
    retry: Retry = Retry()
    compensation_retry: Retry = Retry()
    timeout: int | float | None = None
    compensation_timeout: int | float | None = None
    pivot: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What an undo needs that is neither stack nor callable: JSON without secrets."""
    digest: str = ""
    """Of what the step does: its code, config and project file; secrets left out."""
    outside: tuple[str, ...] | UnsetType = UNSET
    """Steps whose outputs it consumes and that are not in this definition: see `selection`.
    `INPUTS` is among them where it is given what the whole saga is given."""
    approvers: tuple[str, ...] | UnsetType = UNSET
    """Whom the run waits for at this step: it goes on once one of them has approved."""
    queue: str | UnsetType = UNSET
    """Of a run that Temporal drives: the task queue of the workers that can do it."""

    @property
    def backend(self) -> str:
        """The URL of a stack's own backend, as anybody may see it; empty: the run's."""
        return str(self.settings.get("backend", ""))

    @property
    def consumed(self) -> set[str]:
        """The steps whose outputs it consumes."""
        return {owner for source in self.inputs.values() if (owner := self.owner_of(source))}

    def owner_of(self, source: str) -> str:
        """The step of an input `step.output`; empty for a literal.

        Names may hold dots; whatever a step consumes of, it depends on.
        """
        names = (*self.dependencies, *(self.outside or ()))
        owners = [name for name in names if source.startswith(f"{name}.")]
        return "" if source == "value" else max(owners, key=len, default="")

    @property
    def has_state(self) -> bool:
        """Whether what it made stands in a state of its own, and not only in the journal."""
        return bool(self.project or self.work_dir or self.settings.get("cloudformation"))


class Definition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A frozen saga. `steps` stand in the order they were added."""

    saga: str
    stack: str
    steps: tuple[StepDefinition, ...]
    parallelism: int = 4
    on_failure: FailurePolicy = "compensate"
    aws: LocalStack | None = None
    """Where AWS steps go; None: where the provider's own configuration says."""
    organization: str = ""
    """Of Pulumi Cloud; empty: whichever the backend takes a stack without one for."""

    @property
    def target(self) -> str:
        """What a lease is taken on: two sagas with one target must not run at once."""
        return target_of(self.saga, self.organization, self.stack)

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what a run does, as hex."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def step(self, name: str) -> StepDefinition:
        """The step of that name; `KeyError` when there is none."""
        return self._by_name[name]

    def dependents(self, name: str) -> tuple[str, ...]:
        """The steps that wait for this one directly."""
        return self._dependents.get(name, ())

    def after(self, name: str) -> tuple[str, ...]:
        """All the steps that wait for this one, directly or not, in their order."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = set(self.dependents(waiting.pop())) - found
            found |= new
            waiting += new
        return tuple(one for one in self.order if one in found)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Step names, each after all that it waits for; among equals in the order added.

        Raises DefinitionError for a cycle, naming its steps.
        """
        # Here: commands that only read have no use for it.
        from graphlib import CycleError, TopologicalSorter

        sorter: TopologicalSorter[str] = TopologicalSorter(
            {step.name: step.dependencies for step in self.steps}
        )
        try:
            sorter.prepare()
        except CycleError as error:
            path = " → ".join(error.args[1])
            raise DefinitionError(
                f'The steps of saga "{self.saga}" wait for each other: {path}.'
            ) from error
        rank = {step.name: index for index, step in enumerate(self.steps)}
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready(), key=rank.__getitem__)
            order.extend(ready)
            sorter.done(*ready)
        return tuple(order)

    # Worked out once: with a thousand steps a walk for each would be most of a run's time.
    @cached_property
    def _by_name(self) -> Mapping[str, StepDefinition]:
        return {step.name: step for step in self.steps}

    @cached_property
    def _dependents(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for step in self.steps:
            for name in dict.fromkeys(step.dependencies):
                found[name] = (*found.get(name, ()), step.name)
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if not self.organization:
            del plain["organization"]  # as in journals from before it: the digest is the same
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Definition:
        """The inverse of `to_json`; `ValueError` for an unknown or mistyped field, by its path."""
        return msgspec.convert(data, cls)


def target_of(saga: str, organization: str, stack: str) -> str:
    """As Pulumi has it, with the saga in the place of the project: `acme/shop/dev`, `shop/dev`."""
    target = f"{saga}/{stack}"
    return f"{organization}/{target}" if organization else target


def check_dag(definition: Definition) -> None:
    """Raise DefinitionError for an unknown step or a cycle, naming the steps."""
    check_names(definition)
    definition.order  # noqa: B018 - worked out once, and refuses a cycle


def check_names(definition: Definition) -> None:
    """Raise DefinitionError for an unknown step that another one waits for."""
    known = {step.name for step in definition.steps}
    for step in definition.steps:
        for name in step.dependencies:
            if name not in known:
                raise DefinitionError(
                    f'Step "{step.name}" comes after "{name}", which is no step of '
                    f'saga "{definition.saga}".'
                )


def _checked_url(url: object) -> str:
    """The URL without a slash at its end."""
    hint = f"Write it like {DEFAULT_URL}."
    try:
        parts = urlsplit(str(url).strip())
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if "@" in str(url):
        # The URL goes into the journal and into the stacks' state.
        raise DefinitionError("The URL of a LocalStack must not hold a password.", hint=hint)
    if not known or parts.path.strip("/") or parts.query or parts.fragment:
        raise DefinitionError(f"{url!r} is no URL of a LocalStack.", hint=hint)
    return f"{parts.scheme}://{parts.netloc}"
