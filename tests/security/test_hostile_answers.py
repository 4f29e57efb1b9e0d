"""Answers, words and exceptions that were made to break alma: that step fails, and it alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from alma import Request, Saga, Secret, resume, rollback
from alma.core.events import StepStarted
from alma.core.operation import Reconciled
from alma.core.redaction import LONGEST, Redactor, shortened, without_credentials
from alma.core.run import OpenOperation
from alma.errors import BackendError
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.pulumi.doubts import doubt_of
from alma.pulumi.failures import readable
from alma.pulumi.locks import told_locks
from alma.runner.settings import Settings
from alma.runner.start import up
from alma.steps.base import Compensated, Outcome, StepContext, StepHandler
from alma.steps.step import Step
from alma.steps.terraform.output import read as read_terraform
from alma.steps.terraform.step import check_module
from tests.runner.helpers import ended, full_disk_after, types
from tests.steps.api import Api, serve
from tests.steps.conftest import CANARY, Place

DEEP = "[" * 700 + "]" * 700
ANSWERS = {
    "deep": f'{{"id": "r1", "more": {DEEP}}}',
    "deeper": f'{{"id": "r1", "more": {"[" * 100_000}',
    "surrogate": '{"id": "r1", "more": "\\ud800"}',
    "surrogate key": '{"id": "r1", "\\udfff": 1}',
    "endless": '{"id": "r1", "more": 1e999}',
    "no number": '{"id": "r1", "more": NaN}',
    "many digits": f'{{"id": "r1", "more": {"9" * 4200}}}',
    "long keys": json.dumps({"id": "r1", "k" * 200_000: {str(n): n for n in range(10_000)}}),
}


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as found:
        yield found


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def last() -> None:
    raise RuntimeError("asked to")


def saga_of(api: Api, undone: list[str], **options: Any) -> Saga:
    """Something beside the request, which must be undone whatever that is answered."""
    saga = Saga("names", stack="dev")
    saga.add_step("first", action=lambda: None, compensation=lambda: undone.append("first"))
    undo = Request("DELETE", f"{api.url}/records/{{outputs.id}}")
    do = Request("POST", f"{api.url}/records", json={})
    saga.add_http("dns", **{"do": do, "undo": undo, "after": [], **options})
    saga.add_step("last", action=last, compensation="none", after=["first", "dns"])
    return saga


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("secret", [False, True], ids=["shown", "secret"])
async def test_an_answer_that_cannot_be_kept_is_a_failure_of_its_step(
    api: Api, place: Place, answer: str, secret: bool
) -> None:
    """It may have taken effect, so the run is not clean; all else is undone, and again read."""
    api.body = ANSWERS[answer].encode()
    undone: list[str] = []
    options: dict[str, Any] = {"secret_outputs": ["more"]} if secret else {}
    began = time.monotonic()
    result = await ended(saga_of(api, undone, **options).execute())
    assert time.monotonic() - began < 10
    clean = answer in ("many digits", "long keys")
    assert result.failed_step == ("last" if clean else "dns")
    assert (result.state.name, undone) == ("COMPENSATED" if clean else "FAILED", ["first"])
    if not clean:
        assert [left.step for left in result.leftovers] == ["dns"]
        again = await ended(rollback(saga=saga_of(api, undone)))
        assert again.run_id == result.run_id
    with open_journal(place.root / ".alma" / "journal.db", write=False) as reader:
        assert reader.verify().ok
        assert load_run(reader, result.run_id).state.is_final


async def test_what_the_undo_is_answered_cannot_end_the_run(api: Api, place: Place) -> None:
    """Neither its body, nor what it wants in a header of the next request."""
    undone: list[str] = []
    undo = Request(
        "DELETE", f"{api.url}/records/{{outputs.id}}", headers={"X-Etag": "{outputs.etag}"}
    )
    api.body = json.dumps({"id": "r1", "etag": f"ä\u20ac{CANARY}"}).encode()
    result = await ended(saga_of(api, undone, undo=undo, secret_outputs=["etag"]).execute())
    assert (result.state.name, undone) == ("FAILED", ["first"])
    assert "cannot be written as a request" in result.leftovers[0].reason
    assert result.leftovers[0].id == "r1"
    assert place.holding(CANARY) == []
    api.body = DEEP.encode()
    assert (await ended(saga_of(api, undone).execute())).state.name == "FAILED"


class UntoldError(Exception):
    def __str__(self) -> str:
        raise RecursionError


def deep_exception() -> None:
    raise ValueError("x" * 1_000_000 + "\ud800")


def raising(error: BaseException) -> None:
    raise error


def deep_down(level: int) -> int:
    return deep_down(level + 1) + 1


def itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


RAISED: dict[str, Callable[[], Any]] = {
    "recursion": lambda: deep_down(0),
    "memory": lambda: raising(MemoryError()),
    "untold": lambda: raising(UntoldError()),
    "cancelled": lambda: raising(asyncio.CancelledError()),
    "exit": lambda: raising(SystemExit(0)),
    "long": deep_exception,
    "deep": lambda: json.loads(DEEP),
    "inf": lambda: float("inf"),
    "digits": lambda: 10**5000,
    "itself": itself,
    "object": object,
}


class Handler(StepHandler):
    """A kind of somebody's own that breaks where it is told to."""

    lacks = ""
    inputs: ClassVar[dict[str, Any]] = {}
    digest = ""

    def __init__(self, name: str, where: str, what: str, world: list[str]) -> None:
        self.name, self.where, self.what, self.world = name, where, what, world

    def at(self, where: str) -> Any:
        return RAISED[self.what]() if where == self.where else None

    async def inspect(self) -> StepStarted:
        return StepStarted(step=self.name, fingerprint=self.at("inspect") or "")

    async def execute(self, call: StepContext) -> None:
        async def work(_operation: Any) -> Outcome:
            self.world.append(self.name)
            return Outcome(
                outputs={"given": self.at("outputs")}, evidence={"seen": self.at("evidence")}
            )

        await call.perform("action", work)
        self.at("execute")

    async def compensate(self, call: StepContext) -> Compensated:
        async def work(_operation: Any) -> Outcome:
            evidence = {"seen": self.at("undo")}
            if self.name in self.world:
                self.world.remove(self.name)
            return Outcome(evidence=evidence)

        if (await call.perform("compensation", work)).failure:
            raise LookupError("it failed")
        return Compensated(how="called", evidence={"seen": self.at("undone")})

    async def leftovers(self, status: Any, reason: str) -> Any:
        self.at("leftovers")
        return await super().leftovers(status, reason)

    async def reconcile(self, operation: OpenOperation) -> Reconciled:
        self.at("reconcile")
        return await super().reconcile(operation)


class Odd(Step):
    kind = "odd"

    def handled_by(self, handler: Handler) -> Odd:
        object.__setattr__(self, "handler", handler)
        return self

    def bind(self, session: Any) -> Any:  # noqa: ARG002
        return self.handler  # type: ignore[attr-defined]


def odd_saga(where: str, what: str, world: list[str]) -> Saga:
    """`odd` breaks; `first` before it and `side` beside it are to be undone all the same."""
    saga = Saga("odd", stack="dev", parallelism=1)
    for name, place in (("first", ""), ("odd", where), ("side", "")):
        after = [] if name == "side" else None
        step = Odd(name=name, after=after)  # type: ignore[arg-type]
        saga.add(step.handled_by(Handler(name, place, what, world)))
    saga.add_step("last", action=last, compensation="none", after=["odd", "side"])
    return saga


GIVEN = ("deep", "inf", "digits", "itself", "object")
PLACES = [
    *(("outputs", what) for what in RAISED),
    *((where, what) for where in ("evidence", "undone") for what in GIVEN),
    *((where, "exit") for where in ("inspect", "execute", "undo", "undone")),
    *((where, "untold") for where in ("inspect", "undo", "leftovers")),
    ("undo", "recursion"),
    ("execute", "cancelled"),
]


@pytest.mark.parametrize(("where", "what"), PLACES)
async def test_whatever_a_step_raises_is_its_own_failure(
    journal: Path, where: str, what: str
) -> None:
    """The others are undone, and the run can be taken up by the next process."""
    world: list[str] = []
    result = await ended(up(odd_saga(where, what, world), journal=journal))
    assert result.state.is_final
    assert not result.interrupted
    assert "side" not in world
    undone = "odd" not in [left.step for left in result.leftovers]
    assert ("first" not in world) is undone, world
    assert undone or where in ("undo", "undone", "leftovers"), result
    with open_journal(journal, write=False) as reader:
        assert reader.verify().ok
        reader.events(result.run_id)
    if result.state.name == "FAILED":
        again = await ended(rollback(saga=odd_saga("", "", world), journal=journal))
        assert (again.state.name, world) == ("COMPENSATED", [])


@pytest.mark.parametrize("verb", [resume, rollback])
async def test_what_became_of_an_operation_cannot_be_found_out(
    journal: Path, verb: Callable[..., Awaitable[Any]]
) -> None:
    """The step is in doubt and named; the next command goes on, and the others are undone."""
    world: list[str] = []
    stops = Settings(journal=journal, open_journal=full_disk_after(11))
    result = await ended(up(odd_saga("", "", world), settings=stops))
    assert (types(journal)[-1], world) == ("OperationIntended", ["first", "side", "odd"])
    result = await ended(verb(saga=odd_saga("reconcile", "memory", world), journal=journal))
    assert result.state.is_final, result
    assert "side" not in world
    assert "could not be found out" in str(result.error)
    assert "OperationFailed" in types(journal)


def test_a_display_that_breaks_does_not_touch_the_run(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def recorded(self, *_: Any) -> None:
            raise ZeroDivisionError

        def resource(self, *_: Any) -> None:
            raise ZeroDivisionError

    saga = Saga("s")
    saga.add_step("a", action=lambda: None, compensation="none")
    asyncio.run(up(saga, settings=Settings(journal=journal, reporter=Broken())))
    assert capsys.readouterr().err == "alma: the display has failed: ZeroDivisionError\n"


LONG = [
    "<{%" * 100_000,
    "read tcp " * 50_000,
    "a-" * 200_000,
    "?" + "pass" * 100_000,
    "://" + "a:" * 200_000,
    "\n" * 300_000,
    'File "' + "/" * 300_000,
    "x" * 2_000_000,
    "the stack is currently locked by 1 lock(s)\n x: created by " + "a@" * 100_000,
]


@pytest.mark.parametrize("text", LONG, ids=[text[:9] for text in LONG])
def test_no_text_takes_its_square_in_time(text: str, tmp_path: Path) -> None:
    """A quadratic pattern would take minutes for these."""
    (tmp_path / "main.tf").write_text(f'{text}\nvariable "size" {{}}\n')
    lock = {"summary": "Error acquiring the state lock", "detail": text, "severity": "error"}
    line = json.dumps({"type": "diagnostic", "diagnostic": lock})
    began = time.process_time()
    readable(text)
    doubt_of(text)
    without_credentials(text)
    told_locks(text)
    check_module("here", tmp_path, ["size"])
    assert read_terraform(line).lock is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize("count", ["999999999", "9" * 5000], ids=len)
def test_a_text_does_not_say_how_much_memory_is_taken(count: str) -> None:
    assert 0 < len(told_locks(f"the stack is currently locked by {count} lock(s)")) < 1000


def test_many_secrets_take_no_more_time_than_few() -> None:
    redact = Redactor()
    redact.learn(Secret([f"value-{n}" for n in range(5_000)]))
    text = "value-4999 of value- and others, " * 500
    began = time.process_time()
    assert redact(text).startswith("[secret] of value- and others")
    assert time.process_time() - began < 1


def test_a_long_message_is_cut_where_no_secret_can_be_cut() -> None:
    text = "word " * 3275 + CANARY + "-" * 100 + " more"
    assert len(text) > LONGEST > len("word " * 3275) + 5
    assert shortened(text).endswith(f"word… ({len(text)} characters)")
    assert CANARY[:5] not in shortened(text)


async def test_a_state_that_nobody_can_read_is_named(journal: Path) -> None:
    """Whoever looks at it raises: that step is left over, and no other."""

    class Unreadable(Handler):
        async def compensate(self, call: StepContext) -> Compensated:  # noqa: ARG002
            raise BackendError("The state is damaged.")

    world: list[str] = []
    saga = odd_saga("", "", world)
    object.__setattr__(saga.steps[1], "handler", Unreadable("odd", "", "", world))
    result = await ended(up(saga, journal=journal))
    assert result.state.name == "FAILED"
    assert "side" not in world
    assert [left.step for left in result.leftovers] == ["first", "odd"]
