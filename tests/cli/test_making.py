"""Functions that make a saga: which can, and which cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.test_parameters import state
from tests.cli.tools import PLACED

Write = Callable[..., Path]
Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "hunter22")


MAKING = {
    "stars": ("(*names: str) -> Saga", "takes *names"),
    "double stars": ("(**names: str) -> Saga", "takes **names"),
    "a strange type": (
        "(when: complex) -> Saga",
        "parameter when of shop in f.py is of type complex",
    ),
    "an annotation that is not there": (
        "(when: Nothing) -> Saga",
        "An annotation of shop in f.py",
    ),
    "another return": ("() -> int", "shop in f.py returns int, no Saga"),
    "no Saga": ("()", "shop in f.py returned nothing, no Saga"),
    "a mixed dict": ("(a: dict[int, str]) -> Saga", "which no command line can give"),
}


@pytest.mark.parametrize("case", MAKING)
def test_a_function_that_cannot_make_a_saga_is_refused(cli: Call, write: Write, case: str) -> None:
    head, sentence = MAKING[case]
    write(
        f"from __future__ import annotations\nfrom alma import Saga\ndef shop{head}:\n    pass\n",
        "f.py",
    )
    result = cli("up", "f.py:shop")
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr


def test_an_async_function_makes_none_and_a_saga_takes_no_parameters(
    cli: Call, write: Write
) -> None:
    write("from alma import Saga\nasync def shop() -> Saga:\n    pass\n", "f.py")
    assert "is async" in cli("up", "f.py:shop").stderr
    write(PLACED)
    result = cli("up", "-p", "region=eu")
    assert result.exit_code == 2
    assert "saga in saga.py is a Saga, and takes no parameters" in result.stderr


def test_a_function_may_run_its_saga_itself(cli: Call, write: Write) -> None:
    source = 'from alma import Saga\ndef shop(n: int = 1) -> Saga:\n    saga = Saga("ran")\n'
    write(source + "    saga.add_step(print, 'none', name=f's{n}')\n    saga.run()\n", "f.py")
    assert cli("up", "f.py", "-p", "n=2").exit_code == 0
    assert state(cli)["steps"][0]["name"] == "s2"


def test_secrets_in_lists_and_mappings_and_bounds(cli: Call, write: Write, tmp_path: Path) -> None:
    source = (
        "from typing import Annotated\nfrom msgspec import Meta\nfrom alma import Saga, Secret\n"
    )
    write(
        source + "def shop(tokens: dict[str, Secret], others: list[Secret], "
        "n: Annotated[int, Meta(ge=1)] = 1) -> Saga:\n"
        "    saga = Saga('shop')\n"
        "    undo = lambda: open_('undone', tokens['a'].value + others[0].value)\n"
        "    saga.add_step(lambda: None, undo, name='one')\n    return saga\n"
        "def open_(name, text):\n    import pathlib\n    pathlib.Path(name).write_text(text)\n",
        "f.py",
    )
    write('tokens: {a: "@env:TOKEN"}\n', "f.yaml")
    given = ("--params", "f.yaml", "-p", 'others=["@env:TOKEN"]')
    assert "(Expected `int` >= 1), not '0'" in cli("up", "f.py", *given, "-p", "n=0").stderr
    plain = cli("up", "f.py", *given[:2], "-p", "others=[hunter22]")
    assert "others of shop in f.py is a secret, and was given in plain" in plain.stderr
    assert cli("up", "f.py", *given).exit_code == 0
    assert state(cli)["parameters"]["tokens"] == {"a": "[secret]"}
    # From another checkout, the old one gone: by the journal.
    (tmp_path / "moved").mkdir()
    (tmp_path / "f.py").rename(tmp_path / "moved" / "f.py")
    assert cli("destroy", "moved/f.py", "--yes", "--journal", ".alma/journal.db").exit_code == 0
    assert (tmp_path / "undone").read_text() == "hunter22hunter22"
