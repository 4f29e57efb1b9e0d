"""What every kind of step has, its checks, and the references between steps."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypedDict

from msgspec import UNSET

from alma.core.definition import INPUTS, Definition, Retry, StepDefinition
from alma.core.secret import Secret, secrets_in
from alma.core.validation import check_key, check_name, check_seconds, plain_value
from alma.errors import DefinitionError
from alma.steps.base import Check, DoctorOptions, Session, SessionOptions, StepHandler
from alma.steps.by_path import ByPath
from alma.steps.form import Form
from alma.steps.unbound import UnboundHandler

SAGA_FILE: Final = "alma_target_"
"""How the name of a module begins that is a saga's file: no other process can import it."""


@dataclass(frozen=True)
class Output:
    """A reference to an output of a step, to be used as an input of another one."""

    step: str
    name: str
    owner: object = field(default=None, repr=False, compare=False)
    """Whose step it is of; None in a reference that is made from the journal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What every kind of step has; times are seconds for each attempt.

    `inputs`: outputs of other steps, JSON values or `Secret`s. `after`: steps to wait for, beside
    those whose outputs are consumed; empty starts at once. `retry` is for the action,
    `compensation_retry` for its undo. `pivot`: once it has completed, nothing is undone any more.
    `watch`: files, directories and globs that it is made of as well, for its digest. `ready` is
    what must hold once it is done, else it has failed: a callable, a `Request`, a command as a list
    of arguments, or "no-drift". It is asked each `ready_interval` seconds, for `ready_timeout`.
    `queue` names the workers that can do it, where Temporal drives the run.

    A kind is a subclass, a frozen dataclass as this one. It says in `kind_fields` what the journal
    keeps of it, makes what does and undoes it in `bind`, and, where that can be undone without
    the saga's file, in `rebind`.
    """

    kind: ClassVar[str]
    """By which the journal knows it: a name of alma's own, or where Python imports it from."""
    sees_alone: ClassVar[bool] = True
    """Of alma's own kinds: what is left is seen without a program that the journal names."""
    unrepaired: ClassVar[str] = ""
    """Why doing its work again would not bring back what has drifted; empty where it does."""
    holds: ClassVar[bool] = False
    """Whether what is added after it waits for it, unless that says `after` itself."""
    form: ClassVar[Form | None] = None
    """How such a step is written in YAML; None: it cannot be."""

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    after: Iterable[Step | str] | None = None
    retry: Retry = field(default_factory=Retry)
    compensation_retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    compensation_timeout: float | None = None
    pivot: bool = False
    watch: Iterable[str | Path] = ()
    ready: Any = None
    ready_timeout: float = 300.0
    ready_interval: float = 2.0
    queue: str = ""
    owner: object = field(default=None, init=False, repr=False, compare=False)
    """The saga that it is a step of: to a step no more than a token, the same one or another."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" not in vars(cls):
            cls.kind = f"{_importable(cls.__module__)}:{cls.__qualname__}"

    def __post_init__(self) -> None:
        self._set("name", check_name("step", self.name))
        inputs = {
            check_key(self.where, key): value
            if isinstance(value, Output)
            else plain_value(f"{self.where}: input {key!r}", value)
            for key, value in self.inputs.items()
        }
        for what in ("retry", "compensation_retry"):
            if not isinstance(policy := getattr(self, what), Retry):
                raise DefinitionError(f"{self.where}: {what} must be a Retry, not {policy!r}.")
        after = [self.after] if isinstance(self.after, str | Step) else self.after
        if after is not None:
            named = (one if isinstance(one, Step) else check_name("step", one) for one in after)
            self._set("after", tuple(named))
        self._set("inputs", inputs)
        for what in ("timeout", "compensation_timeout", "ready_timeout", "ready_interval"):
            self._set(what, check_seconds(f"{self.where}: {what}", getattr(self, what)))
        self._set("pivot", bool(self.pivot))
        if self.queue:
            self._set("queue", check_name("queue", self.queue))
        watch = [self.watch] if isinstance(self.watch, str | Path) else self.watch
        self._set("watch", tuple(str(Path(one).absolute()) for one in watch))
        self.validate()

    def validate(self) -> None:
        """Refuse, with DefinitionError, what can be seen to be wrong with a step of this kind."""

    @property
    def where(self) -> str:
        """How an error begins."""
        return f'Step "{self.name}"'

    def _set(self, field_name: str, value: object) -> None:
        """Frozen is what it is from the end of its checks on."""
        object.__setattr__(self, field_name, value)

    def join(self, owner: object) -> None:
        """Become a step of this saga; DefinitionError for what is another's."""
        if self.owner is not None:
            raise DefinitionError(f"{self.where} is already a step of {_name(self.owner)}.")
        for key, value in self.inputs.items():
            if isinstance(value, Output) and value.owner is not owner:
                raise DefinitionError(
                    f"{self.where}: input {key!r} is an output of another saga "
                    f'("{_name(value.owner)}"), not of "{_name(owner)}".'
                    if value.owner is not None
                    else f'{self.where}: input {key!r} is an output of step "{value.step}", which '
                    "no saga has: add that one first."
                )
        for entry in self.after or ():
            if isinstance(entry, Step) and entry.owner is not owner:
                raise DefinitionError(f'{self.where}: after names "{entry.name}" of another saga.')
        self._set("owner", owner)

    def load(self) -> None:
        """Import the functions that are only named by now: the run is about to need them."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        found = {name: one.load() for name, one in named.items() if isinstance(one, ByPath)}
        for name, function in found.items():
            self._set(name, function)
        if found:
            self.check_functions()

    def check_functions(self) -> None:
        """Refuse what can be seen to be wrong with them, once they are there."""

    def output(self, name: str) -> Output:
        """The output of that name, for `inputs={"...": step.output("...")}` of another step."""
        return Output(self.name, str.__str__(name), self.owner)

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """What this step alone may work on, as kind and name: no other step has the same."""
        return ()

    def secrets(self) -> Iterator[Secret]:
        """All that it is given that must not be seen: no text of a run shows them."""
        for each in fields(self):
            yield from secrets_in(getattr(self, each.name))

    # -- as data, and back ---------------------------------------------------------------------

    def kind_fields(self) -> dict[str, Any]:
        """The fields of its `StepDefinition` that only this kind of step has.

        `compensation` says in a word how it is undone ("none": it is not). `settings` are what
        `rebind` needs: JSON and `Secret`s; the journal keeps those sealed.
        """
        return {"compensation": "callable"}

    def parts(self) -> Mapping[str, Any]:
        """Of a step that is made of whole sagas: each, by its item."""
        return {}

    def define(self, previous: str | None) -> StepDefinition:
        """The step as data; `previous` is the one that was added before it."""
        inputs = {ref.step for ref in self.inputs.values() if isinstance(ref, Output)}
        given = INPUTS in inputs
        inputs.discard(INPUTS)
        if self.after is None and not inputs:
            dependencies = {previous} if previous else set()
        else:
            named = (entry.name if isinstance(entry, Step) else entry for entry in self.after or ())
            dependencies = inputs | set(named)
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
            outside=(INPUTS,) if given else UNSET,
            queue=self.queue or UNSET,
            **self.kind_fields(),
        )

    def bind(self, session: Any) -> StepHandler:
        """What does and undoes it; `session` is what `open` gave. Raises AlmaErrors."""
        raise NotImplementedError

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Any) -> StepHandler:  # noqa: ARG003
        """What undoes it, from the journal alone; its `lacks` says why, where nothing can.

        `session` is None where only that is asked.
        """
        return UnboundHandler(
            name=definition.name,
            lacks=f'Step "{definition.name}" is of a kind that the journal alone cannot undo.',
        )

    # -- for all steps of a kind ---------------------------------------------------------------

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        definition: Definition,  # noqa: ARG003 - one signature for all
        asked: SessionOptions,  # noqa: ARG003
    ) -> AsyncIterator[Session]:
        """What all steps of this kind share in a run of the saga."""
        yield Session()

    @classmethod
    @contextmanager
    def prewarm(cls, steps: Sequence[Self], stack: str) -> Iterator[None]:  # noqa: ARG003
        """Start what takes long ahead of what runs these steps; by default there is nothing."""
        yield

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:  # noqa: ARG003
        """What steps of this kind need, and whether it is there. Touches nothing."""
        return ()


class StepOptions(TypedDict, total=False):
    """Options of every `Saga.add_*`: see `Step`. None is the default."""

    inputs: Mapping[str, Any] | None
    after: Iterable[Step | str] | None
    retry: Retry | None
    compensation_retry: Retry | None
    timeout: float | None
    compensation_timeout: float | None
    pivot: bool
    watch: Iterable[str | Path] | None
    ready: Any
    ready_timeout: float | None
    ready_interval: float | None
    queue: str | None


@contextmanager
def prewarmed(steps: Sequence[Step], stack: str) -> Iterator[None]:
    """Whatever the kinds of these steps start ahead; `stack` is the saga's."""
    with ExitStack() as begun:
        for kind in dict.fromkeys(type(step) for step in steps):
            own = [step for step in steps if type(step) is kind]
            begun.enter_context(kind.prewarm(own, stack))
        yield


def plain_variables(step: Step, variables: Mapping[str, Any]) -> dict[str, Any]:
    """As plain JSON; DefinitionError for what is none, and for names that are an input's too."""
    if both := set(variables) & set(step.inputs):
        raise DefinitionError(f"{step.where}: {min(both)!r} is given as variable and as input.")
    return {
        str.__str__(key): plain_value(f"{step.where}: variable {key!r}", value)
        for key, value in variables.items()
    }


def _name(owner: object) -> str:
    return getattr(owner, "name", "")


def _importable(module: str) -> str:
    """A module by its name; a saga's file by its own, however it was started."""
    if module != "__main__" and not module.startswith(SAGA_FILE):
        return module
    path = Path(getattr(sys.modules.get(module), "__file__", None) or "__main__.py")
    return f"{path.stem}.py"
