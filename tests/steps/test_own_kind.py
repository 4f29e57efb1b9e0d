"""A kind of step that alma knows nothing of is one as any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alma import AlmaError, DefinitionError, Saga, SagaState, Secret, resume, rollback
from alma.core.definition import StepDefinition
from alma.runner.doctor import examine
from alma.runner.preview import preview
from alma.runner.start import destroy, up
from alma.steps import Step
from alma.steps.registry import UnknownKindError, find_kind, rebind
from alma.testing import FakeEngine
from tests.runner.helpers import ended, history, settings
from tests.steps import notes
from tests.steps.notes import Note

COMPLETED, COMPENSATED, FAILED = SagaState.COMPLETED, SagaState.COMPENSATED, SagaState.FAILED


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notes.opened.clear()


def two(path: Path, *, fail: bool = False, **options: object) -> Saga:
    """A note, and an action that consumes its length."""
    saga = Saga("letters", **options)  # type: ignore[arg-type]
    note = saga.add(Note(name="note", path=path, text="hello", token=Secret("tok-4711-en")))

    def post() -> None:
        if fail:
            raise RuntimeError("no stamp, and tok-4711-en")

    saga.add_step("post", action=post, compensation="none", inputs={"n": note.output("length")})
    return saga


async def test_it_goes_up_and_down(tmp_path: Path) -> None:
    given, path = settings(FakeEngine(), tmp_path / "j.db"), tmp_path / "note.txt"
    result = await up(two(path), settings=given)
    assert result.state is COMPLETED
    assert result.outputs["note"] == {"length": 5}
    assert json.loads(path.read_text()) == {"text": "hello"}
    (created, *_) = history(tmp_path / "j.db")
    assert created.event.versions["desk"] == "oak"  # type: ignore[attr-defined]
    assert created.event.definition["steps"][0]["kind"] == "tests.steps.notes:Note"  # type: ignore[attr-defined]
    assert (await destroy(two(path), settings=given)).state is COMPLETED
    assert not path.exists()
    assert notes.opened == ["open for letters/dev", "closed"] * 2


async def test_it_is_undone_and_its_secrets_are_shown_nowhere(tmp_path: Path) -> None:
    given, path = settings(FakeEngine(), tmp_path / "j.db"), tmp_path / "note.txt"
    result = await ended(up(two(path, fail=True), settings=given))
    assert result.state is COMPENSATED
    assert not path.exists()
    assert result.error is not None
    assert result.error.message == "RuntimeError: no stamp, and [secret]"
    assert b"tok-4711" not in (tmp_path / "j.db").read_bytes()


async def test_what_it_raises_is_its_failure(tmp_path: Path) -> None:
    """Not an error of alma's, and what came before is undone."""
    saga = Saga("letters")
    saga.add(Note(name="first", path=tmp_path / "first", text="well"))
    saga.add(Note(name="second", path=tmp_path / "second", text="blot"))
    result = await ended(up(saga, settings=settings(FakeEngine(), tmp_path / "j.db")))
    assert result.state is COMPENSATED
    assert (result.failed_step, result.error and result.error.message) == (
        "second",
        "OSError: the pen leaks",
    )
    assert not (tmp_path / "first").exists()


async def test_a_preview_asks_it(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    found = await preview(two(path), settings(FakeEngine(), tmp_path / "j.db"))
    assert found.steps[0].foreseen.what == "write note.txt"
    assert not path.exists()


async def test_a_preview_that_raises_is_one_that_failed(tmp_path: Path) -> None:
    saga = Saga("letters")
    saga.add(Note(name="note", path=tmp_path / "note.txt", text="blot"))
    found = await preview(saga, settings(FakeEngine(), tmp_path / "j.db"))
    assert not found.ok
    failure = found.steps[0].foreseen.failure
    assert failure is not None
    assert failure.message == "OSError: the pen leaks"


async def test_the_journal_alone_undoes_it(tmp_path: Path) -> None:
    """Its class is imported by what the journal calls its kind."""
    given, path = settings(FakeEngine(), tmp_path / "j.db"), tmp_path / "note.txt"
    saga = Saga("letters", on_failure="stop")
    saga.add(Note(name="note", path=path, text="hello"))
    saga.add_step("post", action=lambda: 1 / 0, compensation="none")
    assert (await ended(up(saga, settings=given))).state is FAILED
    assert path.exists()
    result = await ended(rollback(settings=given))
    assert result.state is COMPENSATED
    assert not path.exists()


async def test_a_run_goes_on_with_it(tmp_path: Path) -> None:
    given, path = settings(FakeEngine(), tmp_path / "j.db"), tmp_path / "note.txt"
    saga = two(path, fail=True, on_failure="stop")
    assert (await ended(up(saga, settings=given))).state is FAILED
    path.unlink()
    result = await resume(saga=two(path, on_failure="stop"), settings=given, accept_changes=True)
    assert result.state is COMPLETED
    assert not path.exists()  # it had completed, and is not done again


async def test_a_secret_that_the_undo_needs_is_asked_for(tmp_path: Path) -> None:
    given = settings(FakeEngine(), tmp_path / "j.db")
    saga = two(tmp_path / "note.txt", fail=True, on_failure="stop")
    await ended(up(saga, settings=given))
    with pytest.raises(DefinitionError, match=r'step "note" needs a secret .*: token'):
        await rollback(settings=given)
    result = await ended(rollback(saga=two(tmp_path / "note.txt"), settings=given))
    assert result.state is COMPENSATED


async def test_it_refuses_before_anything_is_touched(tmp_path: Path) -> None:
    (tmp_path / "no-desk").touch()
    path = tmp_path / "note.txt"
    with pytest.raises(AlmaError, match="no desk"):
        await up(two(path), settings=settings(FakeEngine(), tmp_path / "j.db"))
    assert not path.exists()
    assert not (tmp_path / "j.db").exists()


async def test_doctor_asks_the_kinds_that_the_journal_knows(tmp_path: Path) -> None:
    given = settings(FakeEngine(), tmp_path / "j.db")
    assert "desk" not in {check.name for check in await examine(tmp_path / "j.db")}
    await ended(up(two(tmp_path / "note.txt", fail=True), settings=given))
    (desk,) = [check for check in await examine(tmp_path / "j.db") if check.name == "desk"]
    assert desk.message == "oak; last runs: COMPENSATED"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("saga.py:Note", "Note is defined in the saga's own file, saga.py"),
        ("acme.nowhere:Note", "acme.nowhere:Note cannot be imported: ModuleNotFoundError"),
        ("json:dumps", "json:dumps is no kind of step"),
        ("tests.steps.notes:", "cannot be imported"),
    ],
)
def test_a_kind_that_is_not_here_says_so(kind: str, words: str) -> None:
    assert words in rebind(StepDefinition(name="note", kind=kind)).lacks


async def test_a_run_whose_kind_is_gone_needs_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(FakeEngine(), tmp_path / "j.db")
    await ended(up(two(tmp_path / "note.txt", fail=True, on_failure="stop"), settings=given))
    monkeypatch.delattr(notes, "Note")
    with pytest.raises(DefinitionError, match=r'Step "note": its kind .* cannot be imp') as met:
        await rollback(settings=given)
    assert "--target" in met.value.hint
    (said,) = [check for check in await examine(tmp_path / "j.db") if check.name == "kind"]
    assert said.level == "warn"


def test_a_step_is_of_one_saga(tmp_path: Path) -> None:
    note = Saga("one").add(Note(name="note", path=tmp_path, text=""))
    other = Saga("other")
    with pytest.raises(DefinitionError, match="already a step of one"):
        other.add(note)
    loose = Note(name="loose", path=tmp_path, text="")
    with pytest.raises(DefinitionError, match='output of step "loose", which no saga has'):
        other.add(Note(name="n", path=tmp_path, text="", inputs={"n": loose.output("length")}))
    with pytest.raises(DefinitionError, match='another saga \\("one"\\), not of "other"'):
        other.add(Note(name="n", path=tmp_path, text="", inputs={"n": note.output("length")}))
    with pytest.raises(DefinitionError, match='after names "note" of another saga'):
        other.add(Note(name="n", path=tmp_path, text="", after=[note]))
    assert other.steps == ()


def test_its_own_fields_are_checked_as_those_of_any_step(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be the name of a step"):
        Note(name="no name", path=tmp_path, text="")
    with pytest.raises(DefinitionError, match="timeout must be a number of seconds"):
        Note(name="note", path=tmp_path, text="", timeout=-1)
    with pytest.raises(DefinitionError, match="is no step"):
        Saga("s").add("note")  # type: ignore[type-var]


def test_a_class_in_the_file_of_a_saga_is_known_by_that_file() -> None:
    """However the file is started: an import by name would run it a second time."""
    kind = type("Own", (Step,), {"__module__": "__main__"}).kind
    with pytest.raises(UnknownKindError, match=r"Own is defined in the saga's own file, \w+\.py"):
        find_kind(kind)
