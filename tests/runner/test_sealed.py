"""What the journal masks is used as it was: by the next process, under the journal's key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alma import Context, Saga, SagaFailed, Secret, destroy, resume, rollback
from alma.errors import AuthenticationError, RefusedError
from alma.journal import open_journal
from alma.runner.recorder import Recorder
from alma.runner.rekey import rekey
from alma.runner.settings import Settings
from alma.runner.start import up

CANARY = "canary-3fW"
LARGE = "x" * 100_000


class World:
    """A saga whose last step fails as told, and what its functions were given."""

    def __init__(self, *, fails: bool = False, secret: str = CANARY) -> None:
        self.fails, self.secret = fails, secret
        self.used: list[Any] = []
        self.undone: list[Any] = []
        self.made = 0

    def make(self) -> dict[str, Any]:
        self.made += 1
        return {
            "plain": f"{CANARY}-bucket",
            "token": Secret({"deep": [f"{CANARY}-token"]}),
            "literal": "a text with [secret] in it",
            "large": LARGE,
            CANARY: 1,
        }

    def use(self, context: Context) -> None:
        self.used = [dict(context.inputs), dict(context.outputs["make"])]
        if self.fails:
            raise RuntimeError("not now")

    def saga(self) -> Saga:
        saga = Saga("s", on_failure="stop")
        saga.add_step(
            "login", action=lambda: None, compensation="none", inputs={"p": Secret(self.secret)}
        )
        make = saga.add_step(
            "make",
            action=self.make,
            compensation=lambda context: self.undone.append(dict(context.result)),
        )
        inputs = {name: make.output(name) for name in ("plain", "token", "literal", "large")}
        saga.add_step(
            "use",
            action=self.use,
            compensation=lambda context: self.undone.append(dict(context.inputs)),
            inputs=inputs,
        )
        return saga


MADE = World().make()
INPUTS = {name: MADE[name] for name in ("plain", "token", "literal", "large")}


async def stopped(journal: Path) -> World:
    """A run that stands half way: its maker has completed, its consumer has failed."""
    world = World(fails=True)
    with pytest.raises(SagaFailed):
        await up(world.saga(), journal=journal)
    return world


def holding(journal: Path, text: str) -> list[str]:
    files = (path for path in journal.parent.rglob("*") if path.is_file())
    return [path.name for path in files if text.encode() in path.read_bytes()]


async def test_the_next_process_is_given_what_the_run_would_have_given(journal: Path) -> None:
    """Values and types are the same; what is shown of others' outputs to a function is masked."""
    first = await stopped(journal)
    second = World()
    result = await resume(saga=second.saga(), journal=journal, accept_changes=True)
    assert second.used == first.used == [INPUTS, {**MADE, "token": "[secret]"}]
    assert second.made == 0
    assert result.outputs["make"] == MADE
    third = World()
    await destroy(third.saga(), journal=journal)
    assert third.undone == [INPUTS, MADE]
    assert third.made == 0
    assert holding(journal, CANARY) == []


async def test_an_undo_is_given_it_as_well(journal: Path) -> None:
    await stopped(journal)
    second = World()
    with pytest.raises(SagaFailed) as failed:
        await rollback(saga=second.saga(), journal=journal)
    assert failed.value.exit_code == 4
    assert second.undone == [INPUTS, MADE]


async def test_a_result_that_is_told_again_has_it(journal: Path) -> None:
    await up(World().saga(), journal=journal)
    assert (await resume(journal=journal)).outputs["make"] == MADE


async def test_the_key_is_private_and_nowhere_else(journal: Path) -> None:
    await up(World().saga(), journal=journal)
    key = journal.with_name(f"{journal.name}.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert holding(journal, key.read_text().strip()) == [key.name]


@pytest.mark.parametrize("verb", ["resume", "rollback", "destroy"])
@pytest.mark.parametrize("how", ["gone", "another"])
async def test_without_the_key_nothing_is_begun(journal: Path, verb: str, how: str) -> None:
    """Refused with 3, naming the step; neither world nor journal is changed."""
    if verb == "destroy":
        await up(World().saga(), journal=journal)
    else:
        await stopped(journal)
    key = journal.with_name(f"{journal.name}.key")
    kept = key.read_text()
    key.unlink()
    if how == "another":
        key.write_text("A" * 43 + "=\n")
    world = World()
    with open_journal(journal, write=False) as reader:
        before = len(reader.events(reader.resolve("latest")))

    async def go_on() -> None:
        if verb == "destroy":
            await destroy(world.saga(), journal=journal)
        elif verb == "resume":
            await resume(saga=world.saga(), journal=journal, accept_changes=True)
        else:
            await rollback(saga=world.saga(), journal=journal)

    with pytest.raises(AuthenticationError, match='of step "make"') as refused:
        await go_on()
    assert refused.value.exit_code == 3
    assert world.used == world.undone == []
    with open_journal(journal, write=False) as reader:
        assert len(reader.events(reader.resolve("latest"))) == before
    key.write_text(kept)
    if verb == "destroy":
        await go_on()
        assert world.undone == [INPUTS, MADE]


@pytest.mark.parametrize("value", ["no key", "QUJD", "A" * 44])
async def test_what_is_no_key_is_refused(
    journal: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALMA_JOURNAL_KEY", value)
    world = World()
    with pytest.raises(AuthenticationError, match="ALMA_JOURNAL_KEY is no key"):
        await up(world.saga(), journal=journal)
    assert world.made == 0


async def test_the_mask_of_an_older_journal_is_never_the_value(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 0.1 has written it: the run that would need it is refused, naming step and output."""
    with monkeypatch.context() as older:
        older.setattr(Recorder, "seal", lambda *_: "")
        await up(World().saga(), journal=journal)
    world = World()
    with pytest.raises(RefusedError, match=r'the output "\w+" of step "make"') as refused:
        await destroy(world.saga(), journal=journal)
    assert refused.value.exit_code == 11
    assert world.undone == []
    with open_journal(journal, write=False) as reader:
        assert [row.kind for row in reader.runs()] == ["up"]


async def test_the_old_value_of_a_changed_secret_is_not_shown(journal: Path) -> None:
    """It is still in the world, and in what programs say of it."""
    await up(World(secret="old-secret").saga(), journal=journal)
    saga = World(secret="new-secret").saga()

    def fail() -> None:
        raise RuntimeError("cannot replace old-secret by new-secret")

    saga.add_step("last", action=fail, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await up(saga, journal=journal)
    assert "cannot replace [secret] by [secret]" in failed.value.message
    assert holding(journal, "old-secret") == []


async def test_a_change_of_keys(journal: Path) -> None:
    """The new key alone opens what the next run needs; the journal is whole."""
    await stopped(journal)
    key = journal.with_name(f"{journal.name}.key")
    old = key.read_text()
    done = rekey(Settings(journal=journal))
    assert (done.runs, done.values) == (1, 2)
    assert len(key.read_text().split()) == 1
    assert key.read_text() != old
    assert key.stat().st_mode & 0o777 == 0o600
    with open_journal(journal, write=False) as reader:
        assert reader.verify().ok
    world = World()
    await resume(saga=world.saga(), journal=journal, accept_changes=True)
    assert world.used[0] == INPUTS


async def test_a_change_to_a_key_of_ones_own(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the new one, then what is there; afterwards the new one is enough."""
    await stopped(journal)
    new = "B" * 43 + "="
    monkeypatch.setenv("ALMA_JOURNAL_KEY", new)
    assert rekey(Settings(journal=journal)).values == 2
    assert rekey(Settings(journal=journal)).values == 0
    journal.with_name(f"{journal.name}.key").unlink()
    world = World()
    await resume(saga=world.saga(), journal=journal, accept_changes=True)
    assert world.used[0] == INPUTS


async def test_a_large_value_is_kept_whole(journal: Path) -> None:
    """In the event it stands as a digest, and is used as it is."""
    await up(World().saga(), journal=journal)
    with open_journal(journal, write=False) as reader:
        events = reader.events(reader.resolve("latest"))
    data = json.dumps([getattr(entry.event, "outputs", {}) for entry in events])
    assert LARGE not in data
    assert holding(journal, LARGE) == []
