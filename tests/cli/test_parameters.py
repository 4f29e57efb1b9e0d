from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.tools import names

Write = Callable[..., Path]
Call = Callable[..., Result]

SHOP = """
import enum, os
from pathlib import Path
from typing import Literal, Optional
from alma import Saga, Secret

class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"

def shop(
    region: Literal["eu", "us"],
    token: Secret,
    count: int = 2,
    share: float = 0.5,
    public: bool = False,
    size: Size = Size.SMALL,
    zones: list[str] = ["a"],
    limits: dict[str, int] | None = None,
    home: Optional[Path] = None,
    stack: str = "dev",
) -> Saga:
    saga = Saga("shop", stack=stack)
    said = {
        "region": region, "count": count, "share": share, "public": public, "size": size.name,
        "zones": zones, "limits": limits, "home": home and str(home),
    }

    def note(words):
        with Path("calls").open("a") as calls:
            calls.write(words)

    def make():
        assert token.value == "hunter22", "no token"
        note(f"make {region} {count}\\n")
        if os.environ.get("BREAK"):
            raise RuntimeError(f"refused {token.value}")
        return {"said": said}

    def unmake():
        note(f"unmake {region} {count} {token.value[:3]}\\n")
        if os.environ.get("BREAK") == "undo":
            raise RuntimeError("in use")

    saga.add_step(make, unmake)
    return saga
"""
GIVEN = ("-p", "region=eu", "-p", "token=@env:TOKEN")


@pytest.fixture(autouse=True)
def _at(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "hunter22")
    write(SHOP, "infra.py")


def outputs(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["outputs"]["make"]["said"]


def test_a_function_is_called_with_what_is_given_and_its_defaults(cli: Call) -> None:
    said = outputs(cli("up", "infra.py:shop", *GIVEN, "--json"))
    assert said == {
        "region": "eu",
        "count": 2,
        "share": 0.5,
        "public": False,
        "size": "SMALL",
        "zones": ["a"],
        "limits": None,
        "home": None,
    }


def test_texts_become_what_the_annotations_say(cli: Call, tmp_path: Path) -> None:
    more = ["count=3", "share=1", "public=true", "size=large", "zones=[1, no]", "limits={cpu: 4}"]
    words = [word for one in [*more, "home=x"] for word in ("-p", one)]
    said = outputs(cli("up", "infra.py", *GIVEN, *words, "--json"))
    assert (said["count"], said["share"], said["public"]) == (3, 1.0, True)
    assert (said["size"], said["zones"], said["limits"]) == ("LARGE", ["1", "no"], {"cpu": 4})
    assert said["home"] == str(tmp_path / "x")


def test_a_later_file_goes_before_an_earlier_one_and_an_option_before_all(
    cli: Call, write: Write
) -> None:
    write("region: us\ncount: 5\nzones: [b, c]\ntoken: '@env:TOKEN'\n", "base.yaml")
    write("count: 7\nlimits: {cpu: 1}\n", "prod.yaml")
    files = ("--params", "base.yaml", "--params", "prod.yaml")
    said = outputs(cli("up", "infra.py:shop", *files, "-p", "region=eu", "--json"))
    assert (said["region"], said["count"]) == ("eu", 7)
    assert (said["zones"], said["limits"]) == (["b", "c"], {"cpu": 1})


REFUSED = {
    "unknown": (
        ("-p", "regoin=eu"),
        "shop in infra.py has no parameter 'regoin'",
        "It takes region",
    ),
    "missing": ((), "needs the parameter region: one of eu, us; also token.", "-p region=..."),
    "a missing secret": (("-p", "region=eu"), "the parameter token: a secret.", "token=@env:NAME"),
    "no whole number": (
        ("-p", "count=3.5"),
        "count of shop in infra.py must be a whole number, not '3.5'",
        "",
    ),
    "no choice": (("-p", "region=mars"), "must be one of eu, us, not 'mars'", ""),
    "no member": (("-p", "size=huge"), "must be one of small, large, not 'huge'", ""),
    "no truth": (("-p", "public=perhaps"), "must be true or false, not 'perhaps'", ""),
    "no list": (("-p", "zones=a"), "must be a list, each entry a text, not 'a'", ""),
    "a wrong entry": (("-p", "limits={cpu: x}"), "to a whole number", "It is at [...]."),
    "no YAML": (
        ("-p", "zones=[a"),
        "must be a list, each entry a text, written as YAML",
        "-p zones=",
    ),
    "no number": (("-p", "share=nan"), "share", ""),
    "twice": (("-p", "count=1", "-p", "count=2"), "The parameter count is given twice.", "--help"),
    "no value": (("-p", "hunter22"), "It takes name=value.", "--help"),
    "a secret in plain": (
        ("-p", "token=hunter22"),
        "token of shop in infra.py is a secret, and was given in plain",
        "token=@env:NAME",
    ),
    "no such variable": (("-p", "token=@env:NONE"), "the environment variable NONE is not set", ""),
    "an empty secret": (
        ("-p", "token=@env:EMPTY"),
        "token of shop in infra.py must be a secret",
        "",
    ),
    "no such file": (("-p", "token=@file:none"), "none cannot be read: No such file", ""),
    "stdin twice": (
        ("-p", "token=-", "-p", "region=-"),
        "Only one parameter can come from stdin",
        "",
    ),
    "no parameter file": (("--params", "none.yaml"), "none.yaml cannot be read: No such file", ""),
    "no mapping": (
        ("--params", "list.yaml"),
        "list.yaml must be a mapping of parameters to values, not a list",
        "region: eu",
    ),
    "broken YAML": (("--params", "broken.yaml"), "broken.yaml, line 2: no YAML", ""),
    "twice in a file": (("--params", "twice.yaml"), "gives the parameter 'count' twice", ""),
    "mistyped in a file": (("--params", "typed.yaml"), "must be a whole number, not 'three'", ""),
    "a secret in a file": (
        ("--params", "secret.yaml"),
        "is a secret, and was given in plain",
        "@file:PATH",
    ),
    "an unknown one in a file": (
        ("--params", "unknown.yaml"),
        "has no parameter 'regoin' (in ",
        "",
    ),
}
FILES = {
    "list.yaml": "- region\n",
    "broken.yaml": "a: 1\n b: 2\n",
    "twice.yaml": "count: 1\ncount: 2\n",
    "typed.yaml": "count: three\n",
    "secret.yaml": "token: hunter22\n",
    "unknown.yaml": "regoin: eu\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_is_one_sentence_with_exit_code_2(
    cli: Call, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    words, sentence, hint = REFUSED[case]
    monkeypatch.setenv("EMPTY", "")
    for name, text in FILES.items():
        write(text, name)
    result = cli("up", "infra.py:shop", *words)
    assert result.exit_code == 2, result.output
    first, *rest = result.stderr.splitlines()
    assert sentence in first
    assert hint in "".join(rest)
    assert len(rest) <= 1
    assert "hunter22" not in result.output
    assert ".alma" not in names(tmp_path)
