"""Steps by commands, real programs: done, checked, and undone or named as left."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alma import Context, Retry, Saga, SagaFailed, Secret, destroy
from tests.steps.commands import calls, program
from tests.steps.conftest import CANARY, Place
from tests.steps.test_ansible import Arguments

FAST = Retry(attempts=3, delay=0.01)


def saga_of(place: Place, *, fails: bool = False, **options: Any) -> Saga:
    """A thing by a program, and a step after it that may fail."""
    program(place.root)
    saga = Saga("shop", stack="dev")
    given: dict[str, Any] = {
        "do": ["./thing.sh", "do"],
        "undo": ["./thing.sh", "undo"],
        "check": ["./thing.sh", "check"],
        "gone": [1, 4],
        "work_dir": place.root,
        "secret_outputs": ["token"],
        "inputs": {"NAME": "a", "PASSWORD": Secret(CANARY)},
        **options,
    }
    saga.add_command("thing", **{name: one for name, one in given.items() if one is not ...})
    if fails:
        saga.add_step("last", action=lambda: 1 / 0, compensation="none")
    return saga


async def failed(saga: Saga) -> Any:
    with pytest.raises(SagaFailed) as caught:
        await saga.execute()
    return caught.value.result


def types(place: Place) -> list[str]:
    return [event["type"] for event in place.document("history", "latest")]


def words(place: Place) -> list[str]:
    return [call[0] for call in calls(place.root)]


async def test_run_used_by_others_and_taken_down(place: Place) -> None:
    """Nothing that is secret is left, or ever in an argument; an undo is given the outputs."""
    saga = saga_of(place)
    told: list[Any] = []
    inputs = {name: saga.steps[0].output(name) for name in ("id", "token")}

    def use(context: Context) -> None:
        told.append(context.inputs)

    saga.add_step(action=use, compensation="none", inputs=inputs)
    with Arguments() as arguments:
        await saga.execute()
    assert place.things() == ["a"]
    assert told[0]["id"] == "a-1"
    assert told[0]["token"].value == "token-of-a"
    assert not any(CANARY in line for line in arguments.seen)
    [log] = (place.root / ".alma" / "logs").rglob("do.log")
    assert log.read_text() == "the password is [secret]\n"
    assert not list(log.parent.glob("private"))
    await destroy(saga)
    assert place.things() == []
    assert json.loads((place.root / "result").read_text()) == {"id": "a-1", "token": "token-of-a"}
    (place.root / "result").unlink()
    assert place.holding(CANARY) == place.holding("token-of-a", but=("thing.sh",)) == []


async def test_a_failed_one_is_undone_and_seen_to_be_gone(place: Place) -> None:
    """Its last line is the reason; the key of an undo is another one."""
    (place.root / "broken").touch()
    result = await failed(saga_of(place))
    assert result.state.name == "COMPENSATED"
    assert result.error.message == "do (thing.sh) ended with exit code 7: no room for it"
    assert place.things() == []
    assert words(place) == ["check", "do", "undo", "check"]
    keys = {word: key for word, key, _ in calls(place.root)}
    assert keys["do"] == keys["check"] != keys["undo"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("stuck", "undo (thing.sh) ended with exit code 9: it is in use"),
        ("lies", "undo has succeeded, and by its check it is still there"),
        ("blind", "check (thing.sh) ended with exit code 75: no connection to the service"),
    ],
)
async def test_what_is_not_seen_to_be_gone_is_a_leftover(
    place: Place, spoil: str, said: str
) -> None:
    """An undo that fails, one that only says so, and a check that cannot tell."""
    saga = saga_of(place)
    saga.add_step("last", action=lambda: (place.root / spoil).touch() or 1 / 0)
    result = await failed(saga)
    assert result.state.name == "FAILED"
    assert said in next(left.reason for left in result.leftovers if left.step == "thing")


async def test_a_service_that_is_away_for_a_while_is_tried_again(place: Place) -> None:
    """With the same key."""
    (place.root / "away").touch()
    result = await failed(saga_of(place, retry=FAST))
    assert result.state.name == "COMPENSATED"
    keys = [key for word, key, _ in calls(place.root) if word == "do"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_nothing_is_begun_where_nobody_can_tell_what_is_there(place: Place) -> None:
    """The check is asked before `do`."""
    (place.root / "blind").touch()
    result = await failed(saga_of(place))
    assert result.state.name == "COMPENSATED"
    assert "Nobody can tell what is there" in result.error.message
    assert words(place) == ["check"]


async def test_a_check_that_sees_nothing_afterwards_is_no_check(place: Place) -> None:
    """It would see nothing after the undo either."""
    result = await failed(saga_of(place, check=["false"], undo=["true"]))
    assert "do has succeeded, and by its check it is not there" in result.error.message


@pytest.mark.parametrize(
    ("options", "state", "reason"),
    [
        ({"already": 3}, "COMPENSATED", ""),
        ({"do": ["true"]}, "FAILED", "it was there before this run (check has seen it)"),
        ({"already": 3, "check": ...}, "COMPENSATED", ""),
    ],
)
async def test_what_was_there_before_is_left(
    place: Place, options: dict[str, Any], state: str, reason: str
) -> None:
    """Whoever says that nothing was changed has nothing to undo; else it is named."""
    (place.world / "a").touch()
    result = await failed(saga_of(place, fails=True, **options))
    assert place.things() == ["a"]
    assert "undo" not in words(place)
    assert result.state.name == state
    assert reason in "".join(left.reason for left in result.leftovers)


async def test_an_attempt_that_failed_may_have_made_it(place: Place) -> None:
    """Without a check nobody can tell whose it is; with one it is this run's, and undone."""
    program(place.root)
    text = 'touch "world/$NAME"; [ -e tried ] && exit 3; touch tried; exit 7'
    shell: dict[str, Any] = {"do": ["sh", "-c", text], "already": 3, "retry": FAST}
    result = await failed(saga_of(place, fails=True, check=..., **shell))
    assert place.things() == ["a"]
    assert "an attempt before it had failed" in result.leftovers[0].reason
    (place.root / "tried").unlink()
    (place.world / "a").unlink()
    result = await failed(saga_of(place, fails=True, **shell))
    assert (place.things(), result.state.name) == ([], "COMPENSATED")


@pytest.mark.parametrize(
    ("undo", "state"), [(..., "FAILED"), ("none", "COMPENSATED")], ids=["without", "none"]
)
async def test_without_an_undo_it_is_named(place: Place, undo: Any, state: str) -> None:
    """Unless its author says that there is nothing to undo."""
    result = await failed(saga_of(place, fails=True, undo=undo))
    assert result.state.name == state
    assert [left.reason for left in result.leftovers] == ["the step has no undo"] * (undo is ...)
