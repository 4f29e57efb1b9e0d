"""The real engine under Temporal: its CLI outlives a worker, or is gone with it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from alma.core.events import OperationReconciled
from alma.core.run import SagaState
from tests.temporal.stage import Stage, kill
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("pulumi_cli")

STEPS = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Held(ResourceProvider):
    def create(self, props):
        note("do b")
        return CreateResult(id_="held", outs=props)
    def delete(self, id, props):
        note("undo b")

class Thing(Resource):
    def __init__(self, name, token): super().__init__(Held(), name, {"token": token})

def program():
    config = pulumi.Config()
    Thing("held", config.require_secret("token"))
    pulumi.export("seen", config.require_secret("token"))

def do_a(c): note("do a")
def undo_a(c): note("undo a")
def do_c(c): note("do c")
a = saga.add_step("a", do_a, undo_a)
saga.add_stack("b", program=program, config={"token": Secret("canary-in-a-config")})
saga.add_step("c", do_c, "none")
"""


def test_a_cli_that_outlives_its_worker_is_waited_for_and_one_that_is_gone_is_done_again(
    stage: Stage,
) -> None:
    """A worker in a create, and one with its CLI in the undo; the third one ends it."""
    stage.write(STEPS)
    stage.fail("do c")
    stage.hold("do b")
    stage.hold("undo b")
    first = stage.worker()
    up = stage.begin()
    stage.begun("do b")
    kill(first)
    second = stage.worker()
    until(lambda: stage.run.steps["b"].in_doubt, "it is taken up")
    stage.let_go("do b")
    stage.begun("undo b")
    assert stage.notes == ["do a", "do b", "do c", "undo b"]
    (settled,) = [one for one in stage.events if isinstance(one, OperationReconciled)]
    assert settled.step == "b"
    engine = cli(stage, "undo b")
    kill(second)
    for one in (engine, *engine.children(recursive=True)):
        one.kill()
    stage.let_go("undo b")
    stage.worker()
    assert stage.ended(up) == 4, stage.said()
    assert stage.run.state is SagaState.COMPENSATED
    assert stage.notes == ["do a", "do b", "do c", "undo b", "undo b", "undo a"]
    assert not list(Path(stage.directory, ".alma", "state").rglob("stacks/*/*.json"))
    exported = stage.exported()
    assert "canary" not in exported
    assert stage.run.run in exported


def cli(stage: Stage, what: str) -> psutil.Process:
    """The Pulumi CLI of which a provider does it."""
    (pid,) = stage.doers(what)
    return next(one for one in psutil.Process(pid).parents() if one.name() == "pulumi")
