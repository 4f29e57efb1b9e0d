"""What a command is given and what is taken from it; a shell only where one is asked for."""

from __future__ import annotations

import json
import sys

import pytest

from alma import Saga, Secret
from tests.steps.conftest import CANARY, Place
from tests.steps.test_command import failed, saga_of


async def test_inputs_on_stdin_are_in_no_environment(place: Place) -> None:
    """As JSON, with their types; the file of the outputs may hold JSON as well."""
    told = place.root / "told.json"
    code = (
        "import json, os, sys; given = json.load(sys.stdin); "
        f"json.dump([given, dict(os.environ)], open({str(told)!r}, 'w')); "
        "json.dump({'ports': given['a-list'], 'seen': given['password']}, "
        "open(os.environ['ALMA_OUTPUT'], 'w'))"
    )
    saga = Saga("shop", stack="dev")
    step = saga.add_command(
        "thing",
        do=[sys.executable, "-c", code],
        undo="none",
        inputs_by="stdin",
        inputs={"a-list": [80, 443], "password": Secret(CANARY)},
    )
    result = await saga.execute()
    given, environ = json.loads(told.read_text())
    told.unlink()
    assert given == {"a-list": [80, 443], "password": CANARY}
    assert CANARY not in str(environ)
    assert result.outputs[step.name]["ports"] == [80, 443]
    assert isinstance(result.outputs[step.name]["seen"], Secret)
    assert place.holding(CANARY) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{oops", "it begins as JSON and is none, line 1"),
        ("a line", "line 1 is no key=value"),
        ('{"a": NaN}', "is nan"),
    ],
)
async def test_outputs_that_cannot_be_taken_fail_the_step(
    place: Place, text: str, said: str
) -> None:
    """It may have taken effect all the same: it is undone."""
    do = ["sh", "-c", f"touch \"world/$NAME\"; printf '%s' '{text}' > \"$ALMA_OUTPUT\""]
    result = await failed(saga_of(place, do=do))
    assert said in result.error.message
    assert (result.state.name, place.things()) == ("COMPENSATED", [])


async def test_a_shell_only_where_one_is_asked_for(place: Place) -> None:
    """A list is given to its program as it is."""
    saga = Saga("shop", stack="dev")
    saga.add_command("plain", do=["touch", "world/$HOME;x"], undo="none", work_dir=place.root)
    saga.add_command(  # noqa: S604 - what this is about
        "shell",
        do='echo id="$NAME" > "$ALMA_OUTPUT" && touch world/b | cat',
        undo="rm world/b",
        check="test -e world/b",
        shell=True,
        inputs={"NAME": "b"},
        work_dir=place.root,
    )
    result = await saga.execute()
    assert place.things() == ["$HOME;x", "b"]
    assert result.outputs["shell"] == {"id": "b"}
