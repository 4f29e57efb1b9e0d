"""A command that cannot be run is refused before anything is begun; a preview begins nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, Secret
from alma.errors import ToolError
from tests.steps.commands import SAGA, program
from tests.steps.conftest import CANARY, Place
from tests.steps.test_command import saga_of, words


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"do": "touch a"}, 'do must be a list of arguments, not "touch a"'),
        ({"do": []}, "do names no program"),
        ({"do": ["a", Secret("x")]}, "a secret cannot be an argument"),
        ({"undo": ["rm", CANARY]}, "undo holds a secret input"),
        ({"check": ["a", None]}, "check: None is no argument"),
        ({"shell": True}, "do must be a text for the shell"),
        ({"inputs": {"a-b": 1}}, "input 'a-b' cannot be a variable"),
        ({"inputs": {"ALMA_KEY": "1"}}, "input 'ALMA_KEY' cannot be a variable"),
        ({"already": [0]}, "already: 0 is no exit code from 1 to 255"),
        ({"gone": "1"}, "gone must be a list of exit codes"),
        ({"work_dir": "nowhere"}, "there is no directory"),
        ({"inputs_by": "argv"}, "inputs_by must be one of environment, stdin"),
    ],
)
def test_what_cannot_be_run_is_refused(place: Place, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        saga_of(place, **options)
    assert said.replace('"touch a"', "'touch a'") in caught.value.message


def test_a_program_that_is_missing_is_told_before_anything_is_begun(place: Place) -> None:
    """One sentence and exit code 2."""
    text = SAGA.replace('undo=["./thing.sh"', 'undo=["no-such-program"')
    program(place.root)
    (place.root / "saga.py").write_text(text)
    code, said = place.alma("up", "saga.py")
    assert code == 2, said
    assert 'Step "thing": the program no-such-program is not on PATH.' in said
    assert not Path(place.root / "calls").exists()
    assert not (place.root / ".alma" / "journal.db").exists()


def test_preview_names_the_commands(place: Place) -> None:
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    [step] = place.document("preview")["steps"]
    assert step["what"] == "run ./thing.sh do"
    assert step["undo"] == "run ./thing.sh undo, then ./thing.sh check must say that it is gone"
    assert words(place) == []


async def test_a_directory_that_is_gone_is_told(place: Place) -> None:
    directory = place.root / "inner"
    directory.mkdir()
    saga = saga_of(place, do=["true"], undo=["true"], check=..., work_dir=directory)
    directory.rmdir()
    with pytest.raises(ToolError, match="there is no directory"):
        await saga.execute()
