"""Which values travel, and as what; whatever a step raises or returns, the run goes on with it."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from alma import Context, DefinitionError, Request, Saga, SagaState, Secret
from alma.runner.start import up
from alma.steps.ansible.step import AnsibleStep
from alma.steps.http.filling import fill
from alma.testing import FakeEngine
from tests.runner.helpers import ended, history, program, settings

SURROGATE = "file-\udcff"


class Env(enum.StrEnum):
    PROD = "prod"


class Old(str, enum.Enum):  # noqa: UP042 - as it was before StrEnum
    PROD = "prod"


class Size(enum.IntEnum):
    BIG = 3


class Name(str):
    __slots__ = ()


class Count(int):
    def __str__(self) -> str:
        return "many"


GIVEN = {Env.PROD: [Old.PROD, (Size.BIG,)], "n": Count(7), "m": MappingProxyType({Name("a"): True})}
PLAIN = {"prod": ["prod", [3]], "n": 7, "m": {"a": True}}


def is_plain(tree: Any) -> bool:
    if isinstance(tree, dict):
        return type(tree) is dict and all(type(k) is str and is_plain(tree[k]) for k in tree)
    if isinstance(tree, list):
        return type(tree) is list and all(map(is_plain, tree))
    return type(tree) in (str, int, float, bool, type(None))


def test_what_inherits_from_text_or_number_travels_as_its_value(tmp_path: Path) -> None:
    """Nested, as keys, in secrets; in config, inputs and variables."""
    saga = Saga("s", stack=Env.PROD)
    stack = saga.add_stack(Name("a"), program, config={Old.PROD: GIVEN}, inputs={"i": GIVEN})
    (tmp_path / "play.yml").write_text("- hosts: all")
    play = AnsibleStep(
        name="p", playbook=tmp_path / "play.yml", variables={Env.PROD: GIVEN, "s": Secret(GIVEN)}
    )
    found = [stack.config["prod"], stack.inputs["i"], play.variables["prod"]]
    found.append(play.variables["s"].value)
    assert found == [PLAIN] * 4
    assert all(map(is_plain, [*found, dict(stack.config), saga.stack, stack.name]))


async def test_results_are_plain_too(tmp_path: Path) -> None:
    """And so are the inputs that are made of them, in the run and from the journal."""
    told: list[Any] = []
    saga = Saga("s")
    first = saga.add_step("first", action=lambda: GIVEN, compensation="none")
    inputs = {"got": first.output(Env.PROD), "own": GIVEN}

    def use(context: Context) -> None:
        told.append(dict(context.inputs))

    saga.add_step("use", action=use, compensation="none", inputs=inputs)
    result = await up(saga, settings=settings(FakeEngine(), tmp_path / "j.db"))
    assert result.outputs["first"] == PLAIN
    assert told == [{"got": PLAIN["prod"], "own": PLAIN}]
    assert is_plain(told[0])


def looped() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


class Colour(enum.Enum):
    RED = "red"


CANNOT = {
    "set": {1, 2},
    "bytes": b"bytes",
    "date": dt.date(2026, 1, 1),
    "decimal": Decimal("1.1"),
    "enum": Colour.RED,
    "nan": float("nan"),
    "surrogate": SURROGATE,
    "surrogate key": {SURROGATE: 1},
    "number as key": {3: "a"},
    "object": object(),
    "loop": looped(),
}


@pytest.mark.parametrize("value", CANNOT.values(), ids=CANNOT)
@pytest.mark.parametrize("wrapped", [list, dict, Secret])
def test_what_cannot_travel_is_refused_where_it_is_written(value: Any, wrapped: type) -> None:
    """Not in the middle of a run."""
    given = {list: [value], dict: {"deep": value}, Secret: Secret(value)}[wrapped]
    for option in ("config", "inputs"):
        with pytest.raises(DefinitionError, match='Step "a"'):
            Saga("s").add_stack("a", program, **{option: {"key": given}})
    with pytest.raises(DefinitionError, match="do: json"):
        Saga("s").add_http("a", do=Request("POST", "http://localhost", json=given))


@pytest.mark.parametrize("value", CANNOT.values(), ids=CANNOT)
async def test_a_result_that_cannot_travel_is_a_failure(value: Any, tmp_path: Path) -> None:
    saga = Saga("s")
    undone: list[str] = []
    saga.add_step("a", action=lambda: {"x": value}, compensation=lambda: undone.append("a"))
    result = await ended(up(saga, settings=settings(FakeEngine(), tmp_path / "j.db")))
    assert result.state is SagaState.COMPENSATED
    assert undone == ["a"]
    assert "cannot be an output" in str(result.error)


@pytest.mark.parametrize(
    "value", [{"secure": "x"}, {"a": [{"secure": {"b": 1}}]}, Secret({"secure": "x"})]
)
async def test_what_pulumi_takes_for_a_ciphertext_is_refused_by_name(
    value: Any, tmp_path: Path
) -> None:
    """As it is written, and as another step's output."""
    for option in ("config", "inputs"):
        with pytest.raises(DefinitionError, match=r"key.*only key is \"secure\""):
            Saga("s").add_stack("a", program, **{option: {"key": value}})
    saga = Saga("s")
    first = saga.add_step("first", action=lambda: {"key": value}, compensation="none")
    saga.add_stack("a", program, inputs={"in": first.output("key")})
    result = await ended(up(saga, settings=settings(FakeEngine(), tmp_path / "j.db")))
    assert result.state is SagaState.COMPENSATED
    assert result.error is not None
    assert result.error.message.startswith("Step \"a\": input 'in'")


async def test_null_is_an_output_and_to_a_stack_a_key_that_is_not_there(tmp_path: Path) -> None:
    told: list[Any] = []
    saga = Saga("s")
    first = saga.add_step("first", action=lambda: {"no": None, "yes": 1}, compensation="none")
    both = {"no": first.output("no"), "yes": first.output("yes")}
    engine = FakeEngine()
    saga.add_stack("a", program, inputs=both)
    saga.add_step(
        "use", action=lambda ctx: told.append(dict(ctx.inputs)), compensation="none", inputs=both
    )
    result = await up(saga, settings=settings(engine, tmp_path / "j.db"))
    assert result.outputs["first"] == {"no": None, "yes": 1}
    assert told == [{"no": None, "yes": 1}]


async def test_large_integers_are_exact(tmp_path: Path) -> None:
    """In the journal, and in the URL of an undo."""
    large = 2**63 + 12345
    saga = Saga("s")
    saga.add_step("a", action=lambda: {"id": large}, compensation="none")
    await up(saga, settings=settings(FakeEngine(), tmp_path / "j.db"))
    (done,) = [
        one.event for one in history(tmp_path / "j.db") if one.event.type == "OperationSucceeded"
    ]
    assert done.outputs == {"id": large}  # type: ignore[attr-defined]
    undo = Request("DELETE", "http://localhost/{outputs.id}")
    filled = fill(undo, {"outputs": json.loads(json.dumps({"id": large})), "inputs": {}})
    assert filled.url == f"http://localhost/{large}"


class UnsayableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class OwnError(BaseException):
    """What no `except Exception` sees."""


def deep() -> None:
    deep()


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


RAISING = {
    "surrogate": raising(OSError(f"no such file: {SURROGATE}")),
    "unsayable": raising(UnsayableError()),
    "exit": raising(SystemExit(3)),
    "interrupt": raising(KeyboardInterrupt()),
    "own": raising(OwnError("gone")),
    "cancelled": raising(asyncio.CancelledError()),
    "generator": raising(GeneratorExit()),
    "recursion": deep,
}


@pytest.mark.parametrize("which", RAISING)
@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_whatever_an_action_raises_is_its_failure(
    which: str, kind: str, tmp_path: Path
) -> None:
    async def later() -> None:
        RAISING[which]()

    undone: list[str] = []
    saga = Saga("s")
    saga.add_step("a", action=lambda: None, compensation=lambda: undone.append("a"))
    act = RAISING[which] if kind == "plain" else later
    saga.add_step("b", action=act, compensation=lambda: undone.append("b"))
    result = await ended(up(saga, settings=settings(FakeEngine(), tmp_path / "j.db")))
    assert result.state is SagaState.COMPENSATED
    assert undone == ["b", "a"]
    assert result.error is not None
    result.error.message.encode()


@pytest.mark.parametrize("which", RAISING)
async def test_whatever_a_compensation_raises_leaves_its_step_named(
    which: str, tmp_path: Path
) -> None:
    """And those before it are undone all the same where nothing depends on it."""
    saga = Saga("s")
    saga.add_step("a", action=lambda: None, compensation=RAISING[which])
    saga.add_step("b", action=lambda: 1 / 0, compensation="none")
    result = await ended(up(saga, settings=settings(FakeEngine(), tmp_path / "j.db")))
    assert result.state is SagaState.FAILED
    assert [left.step for left in result.leftovers] == ["a"]
    json.dumps([left.reason for left in result.leftovers]).encode()
