"""Why something is left, and why a step failed: each thing its own reason, and no more of it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from alma import DefinitionError, Saga, SagaState
from alma.core import events as ev
from alma.core.events import Failure, Leftover
from alma.core.redaction import LONGEST
from alma.pulumi.engine import OperationResult, PendingOperation
from alma.pulumi.failures import translate
from alma.reports import report
from alma.runner import resume, run_sync, up
from alma.runner.leftovers import _own_reason
from alma.testing import FakeEngine, Fault
from tests.core.histories import History
from tests.runner.helpers import ended, history, program, settings


def test_what_was_said_of_one_resource_is_not_the_reason_of_another() -> None:
    failed = "urn:pulumi:dev::p::aws:s3/bucket:Bucket::logs"
    failure = Failure(kind="provider", message="BucketNotEmpty", urn=failed)
    reason = "its undo failed: BucketNotEmpty"
    own = Leftover(step="s", urn=failed, reason=reason)
    other = Leftover(step="s", urn=failed.replace("logs", "data"), reason=reason)
    assert _own_reason(own, failure) is own
    assert _own_reason(other, failure).reason == (
        "still there: the undo of its step failed at logs"
    )


async def test_a_step_that_is_kept_for_another_names_it(journal: Path) -> None:
    def stuck() -> None:
        raise RuntimeError("no")

    saga = Saga("s")
    saga.add_step("a", action=lambda: None, compensation=lambda: None)
    saga.add_step("b", action=lambda: None, compensation=stuck)
    saga.add_step("c", action=stuck, compensation="none")
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.FAILED
    reasons = {left.step: left.reason for left in result.leftovers}
    assert reasons["a"] == 'not undone: step "b" is not undone and may still use it'


def test_of_a_very_long_message_the_beginning_is_kept(journal: Path) -> None:
    def loud() -> None:
        raise RuntimeError("x" * 10_000_000)

    saga = Saga("s")
    saga.add_step("a", action=loud, compensation="none")
    result = run_sync(lambda: ended(up(saga, journal=journal)))
    assert result.error is not None
    assert len(result.error.message) < LONGEST + 100
    assert journal.stat().st_size < 2_000_000


async def test_an_output_that_a_program_does_not_export_says_how(journal: Path) -> None:
    saga = Saga("s")
    a = saga.add_stack("a", program=program)
    saga.add_stack("b", program=program, inputs={"x": a.output("nothing")})
    result = await ended(up(saga, settings=settings(FakeEngine(), journal)))
    assert result.error is not None
    assert 'export it with pulumi.export("nothing", ...)' in result.error.message


def generator() -> object:
    yield 1


def needs(region: str) -> None:
    """A program that is called with nothing, so it cannot have this."""


def keyword(*, region: str) -> None:
    """The same."""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (generator, "is a generator"),
        (needs, "it needs region"),
        (keyword, "it needs region"),
        (lambda x: x, "it needs x"),
    ],
)
def test_a_program_that_cannot_be_called_is_refused_at_once(wrong: object, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        Saga("s").add_stack("a", program=wrong)  # type: ignore[arg-type]


def test_a_program_with_defaults_and_a_bound_one_are_taken() -> None:
    class Programs:
        def one(self) -> None:
            """A method has its object."""

    def two(region: str = "eu") -> None:
        """A default is enough."""

    saga = Saga("s")
    saga.add_stack("a", program=Programs().one)
    saga.add_stack("b", program=two)


def test_what_a_restore_made_again_is_told_with_its_new_id() -> None:
    saga = Saga("s")
    saga.add_stack("a", program=program)
    urn = "urn:pulumi:dev::s-a::aws:ec2/instance:Instance::web"
    past = History(saga)
    past.succeed("a")
    past.add(
        ev.CompensationStarted(reason="x", failed_step=""),
        ev.OperationIntended(step="a", operation="r-9", kind="restore", attempt=1, log=""),
        ev.OperationSucceeded(step="a", operation="r-9", kind="restore"),
        ev.StepCompensated(
            step="a",
            how="restored",
            evidence={"renewed": [{"urn": urn, "id": "i-2", "reason": "it was deleted"}]},
        ),
    )
    assert report.undone(past.run) == [
        "  a: put back to the state it was in",
        "    aws:ec2/instance:Instance web was made again, id i-2",
    ]


async def test_without_a_file_descriptor_the_run_goes_on_in_another_process(journal: Path) -> None:
    """Nothing can be undone in this one, and nothing is called left for it: 8, and resumable."""

    class Full(FakeEngine):
        async def destroy(self, *_: object, **__: object) -> OperationResult:
            raise OSError(errno.EMFILE, "Too many open files")

    engine = Full(faults=[Fault(project="s-a", operation="up", after=1)])
    saga = Saga("s")
    saga.add_stack("a", program=program)
    result = await ended(up(saga, settings=settings(engine, journal)))
    assert (result.interrupted, result.exit_code) == (True, 8)
    last = history(journal)[-1].event
    assert isinstance(last, ev.RunInterrupted)
    assert "no file descriptor left" in last.reason
    again = await ended(resume(settings=settings(engine.restarted(), journal)))
    assert again.state is SagaState.COMPENSATED


async def test_an_action_that_has_none_left_is_a_failure_of_its_own(journal: Path) -> None:
    def leak() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    saga = Saga("s")
    saga.add_step("a", action=lambda: None, compensation=lambda: None)
    saga.add_step("b", action=leak, compensation="none")
    result = await ended(up(saga, journal=journal))
    assert result.state is SagaState.COMPENSATED


def test_a_name_that_reads_like_the_stacks_type_is_a_resources_name() -> None:
    urn = "urn:pulumi:dev::p::a:b:C::pulumi:pulumi:Stack::x"
    failure = translate("", [(urn, "no such size")], interrupted=False, log="")
    assert (failure.kind, failure.urn) == ("provider", urn)
    root = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
    assert translate("", [(root, "broken")], interrupted=False, log="").kind == "program"
    assert PendingOperation(urn=urn, kind="creating").name == "pulumi:pulumi:Stack::x"
