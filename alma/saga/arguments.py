"""What whoever writes a saga has given, and has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from alma.core.definition import LocalStack
from alma.core.selection import Selection
from alma.core.validation import check_choice, check_name
from alma.errors import DefinitionError
from alma.steps.action import check_callables
from alma.steps.step import Step, StepOptions


class SelectOptions(TypedDict, total=False):
    """Which steps a run is about, by names and globs: see `Selection`."""

    steps: Iterable[str]
    from_steps: Iterable[str]
    exclude: Iterable[str]
    exclusive: bool


class RunOptions(SelectOptions, total=False):
    """Options of `Saga.execute` and `Saga.run`."""

    journal: str | Path | None
    trust: bool
    handle_signals: bool
    accept_backend: bool
    accept_existing: bool
    changed: bool
    ttl: str | timedelta


def selection_of(**asked: Unpack[SelectOptions]) -> Selection:
    """What was asked for; one name may stand for a list of one."""

    def names(which: Literal["steps", "from_steps", "exclude"]) -> tuple[str, ...]:
        given = asked.get(which, ())
        return tuple(map(str, (given,) if isinstance(given, str) else given))

    return Selection(
        steps=names("steps"),
        from_steps=names("from_steps"),
        exclude=names("exclude"),
        exclusive=bool(asked.get("exclusive")),
    )


def chosen(options: StepOptions) -> dict[str, Any]:
    """Without what is None: that is the default."""
    return {name: value for name, value in options.items() if value is not None}


def once(what: str, by_name: Any, by_position: Any) -> Any:
    """The one that is there; two are refused."""
    if by_name is not None and by_position is not None:
        raise DefinitionError(f"add_step: the {what} is given twice.")
    return by_name if by_position is None else by_position


def pair_of(
    given: tuple[Any, ...], name: str | None, action: Any, compensation: Any
) -> tuple[str, Any, Any]:
    """Name, action and compensation of `add_step`, which are given by position or by name."""
    if given and (given[0] is None or isinstance(given[0], str)):
        name, given = once("name", name, given[0]), given[1:]
    if given:
        action, given = once("action", action, given[0]), given[1:]
    if given:
        compensation, given = once("compensation", compensation, given[0]), given[1:]
    if given:
        raise DefinitionError("add_step takes a name, an action and a compensation, no more.")
    if action is None:
        raise DefinitionError(
            "add_step: there is no action.",
            hint="It takes callables. A Pulumi program is add_stack(name, program=...).",
        )
    check_callables("add_step", action, compensation)
    called = getattr(action, "__name__", None) if name is None else name
    if called == "<lambda>":
        raise DefinitionError("add_step: a lambda has no name.", hint="Give one: name='...'.")
    return check_name("step", called), action, compensation


def made_in(module: Mapping[str, Any]) -> str:
    """The module's file; empty in a REPL, a notebook and under `python -c`."""
    file = module.get("__file__")
    return str(place_of(file)) if file else ""


def place_of(file: str) -> Path:
    """The file from any directory, without `..` in it; a link to it keeps its own name."""
    path = Path(file).absolute()
    return path.parent.resolve() / path.name if ".." in path.parts else path


def called_in(file: str) -> str:
    """The stem of a module's file; that of a package is its folder's name."""
    if not file:
        return "saga"
    path = Path(file)
    return path.parent.name if path.stem in {"__init__", "__main__"} else path.stem


def check_settings(name: str, parallelism: object, on_failure: object, aws: object) -> None:
    """What a saga is given besides its names; DefinitionError for what cannot be."""
    if type(parallelism) is not int or parallelism < 1:
        raise DefinitionError(
            f'Saga "{name}": parallelism must be a whole number of at least 1, not {parallelism!r}.'
        )
    check_choice(f'Saga "{name}": on_failure', on_failure, ("compensate", "stop"))
    if aws is not None and not isinstance(aws, LocalStack):
        raise DefinitionError(
            f'Saga "{name}": aws must be a LocalStack, not {aws!r}.',
            hint='Write aws=LocalStack("http://localhost:4566").',
        )


def claim(step: Step, owned: dict[tuple[str, str], str]) -> None:
    """Note what the step alone may work on; DefinitionError where another one has it already."""
    for what in step.owns:
        if other := owned.get(what):
            # Two steps over one stack would undo each other's work.
            raise DefinitionError(
                f'Steps "{other}" and "{step.name}" are the same {what[0]} "{what[1]}".'
            )
    owned.update(dict.fromkeys(step.owns, step.name))


def checked_secrets_provider(said: str | None) -> str:
    """By which secrets of new stacks are encrypted; empty: as Pulumi does it by itself."""
    if said is None:
        return ""
    names, urls = ("default", "passphrase"), ("awskms", "azurekeyvault", "gcpkms", "hashivault")
    scheme = str(said).partition("://")[0]
    if said in names or (scheme in urls and scheme != said):
        return str(said)
    raise DefinitionError(
        f"A saga's secrets_provider cannot be {said!r}.",
        hint=f"It is {', '.join(names)}, or a URL of {', '.join(f'{one}://' for one in urls)}.",
    )


def checked_url(backend: str | None) -> str:
    """The URL of a state backend; empty for none. DefinitionError for what is no URL."""
    if backend is not None and "://" not in str(backend):
        raise DefinitionError(
            "A saga's backend must be the URL where Pulumi keeps state.",
            hint='Write it like backend="s3://bucket".',
        )
    return "" if backend is None else str(backend)
