"""Stacks are where the last run of their saga left them, or the run is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from alma import DefinitionError, Saga, SagaFailed
from alma.journal import open_journal
from alma.journal.reading import newest_run
from alma.pulumi.engine import StackRef
from alma.runner import destroy, rollback, up
from alma.runner.preview import preview
from alma.runner.restore import restorable
from alma.runner.settings import Settings
from alma.testing import FakeEngine
from alma.testing.world import FakeWorld

HERE, THERE = "s3://here", "s3://there"


@dataclass
class Placed(FakeEngine):
    """A fake whose run has a backend of its own."""

    url: str = HERE

    def where(self, ref: StackRef) -> str:
        """A stack's own one goes before it."""
        return ref.backend or self.url

    async def check(
        self,
        refs: Sequence[StackRef] = (),  # noqa: ARG002
        *,
        write: bool = False,  # noqa: ARG002
    ) -> Mapping[str, str]:
        """As the real one tells it."""
        return {"backend": self.url}


def _saga(*, fails: bool = False) -> Saga:
    def broken() -> None:
        raise RuntimeError("no")

    saga = Saga("shop", on_failure="stop")
    saga.add_stack("database", lambda: None)
    if fails:
        saga.add_step(broken, "none")
    return saga


def _at(url: str, world: FakeWorld | None = None) -> Settings:
    return Settings(engine=Placed(url=url, reality=world or FakeWorld()))


async def test_another_backend_is_refused_and_both_are_named() -> None:
    """By all that would make or look for the stacks there."""
    await up(_saga(), settings=_at(HERE))
    for call in (
        up(_saga(), settings=_at(THERE)),
        destroy(_saga(), settings=_at(THERE)),
        preview(_saga(), _at(THERE)),
        restorable(_saga(), step="database", settings=_at(THERE)),
    ):
        with pytest.raises(DefinitionError) as refused:
            await call
        assert f"shop-database is in {HERE} since run" in refused.value.message
        assert refused.value.message.endswith(f"not in {THERE}.")
        assert f"PULUMI_BACKEND_URL={HERE}" in refused.value.hint
    await up(_saga(), settings=_at(HERE))


async def test_another_backend_can_be_accepted() -> None:
    """From then on it is the last run's."""
    await up(_saga(), settings=_at(HERE))
    accepting = replace(_at(THERE), accept_backend=True)
    assert (await preview(_saga(), accepting)).ok
    await up(_saga(), settings=accepting)
    with pytest.raises(DefinitionError, match=THERE):
        await up(_saga(), settings=_at(HERE))
    await destroy(_saga(), settings=replace(_at(HERE), accept_backend=True))


async def test_a_run_goes_on_only_where_it_was() -> None:
    world = FakeWorld()
    with pytest.raises(SagaFailed):
        await up(_saga(fails=True), settings=_at(HERE, world))
    for saga in (None, _saga(fails=True)):
        with pytest.raises(DefinitionError, match=f"in {HERE} since run"):
            await rollback(saga=saga, settings=_at(THERE))
    with pytest.raises(SagaFailed) as undone:
        await rollback(settings=_at(HERE, world))
    assert undone.value.exit_code == 4


async def test_a_run_without_stacks_has_no_backend() -> None:
    saga = Saga("shop")
    saga.add_step(print, "none")
    await up(saga, settings=_at(HERE))
    await up(_saga(), settings=_at(THERE))
    with open_journal(".alma/journal.db", write=False) as journal:
        run = newest_run(journal, "shop/dev")
    assert run is not None
    assert run.backend == THERE
