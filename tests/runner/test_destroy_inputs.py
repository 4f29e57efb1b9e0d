from __future__ import annotations

from pathlib import Path

from alma import Context, Saga
from alma.core.run import SagaState
from alma.runner import destroy, up
from alma.testing import FakeEngine
from tests.runner.helpers import program, settings


async def test_a_destroy_gives_compensations_what_the_run_before_gave_the_actions(
    tmp_path: Path,
) -> None:
    """A destroy run has no outputs of its own; those of the newest up are its inputs."""
    journal, seen = tmp_path / "journal.db", []

    def saga() -> Saga:
        def delete(context: Context) -> None:
            seen.append((context.inputs["url"], context.result))

        saga = Saga("s")
        first = saga.add_step("first", action=lambda: {"url": "http://a"}, compensation=print)
        saga.add_stack("a", program=program)
        saga.add_step(
            "record",
            action=lambda: {"id": 7},
            compensation=delete,
            inputs={"url": first.output("url")},
        )
        return saga

    engine = FakeEngine()
    await up(saga(), settings=settings(engine, journal))
    for _ in range(2):  # the second finds nothing to destroy, and calls it again
        result = await destroy(saga(), settings=settings(engine, journal))
        assert result.state is SagaState.COMPLETED
    assert seen == [("http://a", {"id": 7})] * 2
