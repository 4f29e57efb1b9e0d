"""Updates and deletes that were done and whose answer was lost: never called as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from alma import Saga, SagaState
from alma.core import events as ev
from alma.pulumi.doubts import unseen
from alma.pulumi.engine import StackRef
from alma.runner import up
from alma.steps.stack.leftovers import StackLeftovers
from tests.core.histories import History
from tests.runner.helpers import ended, program

URN = "urn:pulumi:dev::p::a:b:C::thing"
LOST = "HTTP 504: Gateway Timeout"


class Behind(ResourceProvider):
    """A file behind a gateway, which loses the answers that it is told to."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        path = Path(props["path"])
        path.write_text(props["value"])
        return CreateResult(str(path), props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=olds["value"] != news["value"])

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        Path(_id).write_text(news["value"])
        self._answer(_id, "update")
        return UpdateResult(news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        Path(_id).unlink(missing_ok=True)
        self._answer(_id, "delete")

    def _answer(self, name: str, what: str) -> None:
        order = Path(f"{name}.{what}")
        if order.exists():
            order.unlink()
            raise RuntimeError(LOST)


class File(Resource):
    """A file with a value."""

    def __init__(self, path: Path, value: str) -> None:
        super().__init__(Behind(), path.name, {"path": str(path), "value": value})


def files(world: Path, **values: str) -> Callable[[], None]:
    """A program that makes these."""

    def run() -> None:
        for name, value in values.items():
            File(world / name, value)

    return run


def saga_of(world: Path, *, new: bool) -> Saga:
    """Two stacks; when they are new, each loses an answer."""
    saga, kept = Saga("shop"), {} if new else {"d": "old"}
    saga.add_stack("updated", program=files(world, u="new" if new else "old"), after=[])
    saga.add_stack("deleted", program=files(world, k="old", **kept), after=[])
    return saga


@pytest.mark.lives
async def test_what_was_done_unseen_is_named(directory: Path) -> None:
    """The state shows what was before the lost answers, so that it would pass for unchanged."""
    world = directory / "world"
    world.mkdir()
    assert (await up(saga_of(world, new=False))).state is SagaState.COMPLETED
    for order in ("u.update", "d.delete"):
        (world / order).touch()
    result = await ended(up(saga_of(world, new=True)))
    assert result.state is SagaState.FAILED
    assert {(one.step, one.urn.rpartition("::")[2], one.reason) for one in result.leftovers} == {
        ("updated", "u", "the answer to its update was lost: it may not be as before"),
        ("deleted", "d", "the answer to its delete was lost: it may be gone"),
    }
    assert {path.name: path.read_text() for path in world.iterdir()} == {"u": "new", "k": "old"}


def test_what_was_done_again_is_seen() -> None:
    """By a later attempt of the run, which the state tells of: then a restore puts it back."""
    saga = Saga("s")
    saga.add_stack("a", program=program)
    status = History(saga).run.steps["a"]
    left = StackLeftovers(name="a", ref=StackRef(project="s-a", stack="dev"))
    status.resources = (ev.ResourceChange(urn=URN, op=ev.UPDATING, id="x"),)
    assert [one.id for one in left.unseen(status)] == ["x"]
    status.resources = (*status.resources, ev.ResourceChange(urn=URN, op="update", id="x"))
    assert left.unseen(status) == ()
    status.resources = (*status.resources, ev.ResourceChange(urn=URN, op=ev.DELETING, id="x"))
    assert [one.reason for one in left.unseen(status)] == [
        "the answer to its delete was lost: it may be gone"
    ]


@pytest.mark.parametrize(
    ("operation", "message", "doubt"),
    [
        ("update", LOST, ev.UPDATING),
        ("update", "'NoneType' object has no attribute 'outs'", ev.UPDATING),
        ("update", "error reading from server: EOF", ev.UPDATING),
        ("update", "InvalidParameter: no such size", ""),
        ("delete", "read tcp 10.0.0.1: connection reset by peer", ev.DELETING),
        ("delete-replaced", LOST, ev.DELETING),
        ("delete", "BucketNotEmpty", ""),
        ("delete", "Delete https://api: dial tcp: connection refused", ""),
        ("read", LOST, ""),
        ("create-replacement", LOST, ev.UNANSWERED),
    ],
)
def test_which_operations_leave_something_open(operation: str, message: str, doubt: str) -> None:
    """As of a create; a read changes nothing."""
    assert unseen(operation, message) == doubt


@pytest.mark.parametrize("kind", ["OperationFailed", "OperationSucceeded"])
def test_a_create_that_a_restore_lost_is_not_forgotten(kind: str) -> None:
    """The next attempt makes it a second time, and is verified: the first one may exist."""
    saga = Saga("s")
    saga.add_stack("a", program=program)
    past = History(saga)
    past.succeed("a")
    lost = (ev.ResourceChange(urn=URN, op=ev.UNANSWERED), ev.ResourceChange(urn=URN, op="update"))
    more: dict[str, Any] = {"failure": ev.Failure(kind="provider", message="no")}
    past.add(
        ev.CompensationStarted(reason="x", failed_step=""),
        ev.OperationIntended(step="a", operation="r-9", kind="restore", attempt=1, log=""),
        getattr(ev, kind)(
            step="a",
            operation="r-9",
            kind="restore",
            resources=lost,
            **(more if kind == "OperationFailed" else {}),
        ),
    )
    assert past.run.steps["a"].resources[-1] == lost[0]
