from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alma.cli.program import program
from tests.cli.tools import PLACED, names

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
    "a reference without quotes": (
        ("--params", "unquoted.yaml"),
        "unquoted.yaml, line 1: no YAML",
        'in quotes: "@env:NAME"',
    ),
    "a list of itself": (("--params", "itself.yaml"), "zones of shop in infra.py is nested", ""),
    "a deep list": (("-p", f"zones={'[' * 5000}"), "must be a list, each entry a text", ""),
    "an empty stack": (("--stack", ""), "It is empty.", "--help"),
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
    "unquoted.yaml": "token: @env:TOKEN\n",
    "itself.yaml": "zones: &a [*a]\n",
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


def state(cli: Call, *words: str) -> dict[str, object]:
    return json.loads(cli("status", *words, "--json").stdout)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def test_no_secret_is_in_a_file_or_on_a_terminal(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "undo")
    said = [cli("up", "infra.py:shop", *GIVEN, "-p", "home=/hunter22/x")]
    assert said[0].exit_code == 10
    said += [cli("status"), cli("history", "latest"), cli("history", "latest", "--json")]
    said += [cli("rollback", "latest"), cli("destroy", "infra.py:shop", "--yes")]
    assert not [one for one in said if "hunter22" in one.output]
    kept = [path for path in (tmp_path / ".alma").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter22" in path.read_bytes()]
    parameters = state(cli)["parameters"]
    assert parameters["token"] == "[secret]"
    assert parameters["home"] == "/[secret]/x"
    assert parameters["region"] == "eu"


def test_what_the_function_raises_is_told_without_its_secrets(cli: Call, write: Write) -> None:
    broken = "from alma import Saga, Secret\ndef shop(token: Secret) -> Saga:\n"
    write(broken + '    raise ValueError(f"bad: {token.value}")\n', "broken.py")
    result = cli("up", "broken.py", "-p", "token=@env:TOKEN")
    assert result.exit_code == 2
    assert "shop in broken.py, line 3: ValueError: bad: [secret]." in result.stderr


def test_a_run_goes_on_and_back_as_it_was_called(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "undo")
    assert cli("up", "infra.py:shop", *GIVEN, "-p", "count=3").exit_code == 10
    monkeypatch.delenv("BREAK")
    monkeypatch.delenv("TOKEN")
    changed = cli("rollback", "latest", "-p", "count=4")
    assert changed.exit_code == 2
    assert "The parameter count was 3, and is 4 now" in changed.stderr
    monkeypatch.setenv("OTHER", "swordfish")
    changed = cli("rollback", "latest", "-p", "token=@env:OTHER")
    assert "The parameter token was another one" in changed.stderr
    result = cli("rollback", "latest", "-p", "count=3")
    assert result.exit_code == 4, result.output
    assert calls(tmp_path) == ["make eu 3", "unmake eu 3 hun", "unmake eu 3 hun"]


def test_up_does_not_go_on_with_a_run_of_other_parameters(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    path = tmp_path / "infra.py"
    die = 'if os.environ.get("DIE"):\n            os._exit(9)\n        '
    path.write_text(path.read_text().replace("if os.environ", die + "if os.environ", 1))
    words = [sys.executable, "-m", "alma", "up", "infra.py:shop", *GIVEN, "-p", "count=3"]
    died = subprocess.run(words, env={**environment, "DIE": "1"}, cwd=tmp_path, check=False)
    assert died.returncode == 9
    other = cli("up", "infra.py:shop", *GIVEN, "-p", "count=4")
    assert other.exit_code == 2
    assert "The parameter count was 3, and is 4 now" in other.stderr
    monkeypatch.delenv("TOKEN")
    assert cli("resume", "latest").exit_code == 0
    assert calls(tmp_path) == ["make eu 3", "make eu 3"]


def test_destroy_takes_down_what_was_deployed_and_asks_which(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("up", "infra.py:shop", *GIVEN, "-p", "count=3").exit_code == 0
    prod = ("-p", "region=us", "-p", "token=@env:TOKEN", "-p", "stack=prod")
    assert cli("up", "infra.py:shop", *prod).exit_code == 0
    monkeypatch.delenv("TOKEN")
    several = cli("destroy", "infra.py:shop", "--yes")
    assert several.exit_code == 2
    assert "was deployed more than once: shop/prod, shop/dev" in several.stderr
    changed = cli("destroy", "infra.py:shop", "--stack", "dev", "-p", "count=4", "--yes")
    assert changed.exit_code == 2
    assert "The parameter count was 3, and is 4 now" in changed.stderr
    assert cli("destroy", "infra.py:shop", "-p", "region=us", "--yes").exit_code == 0
    assert cli("destroy", "infra.py:shop", "--stack", "dev", "--yes").exit_code == 0
    assert calls(tmp_path)[2:] == ["unmake us 2 hun", "unmake eu 3 hun"]


def test_a_key_that_is_gone_is_told_unless_the_secret_is_given_again(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "undo")
    assert cli("up", "infra.py:shop", *GIVEN).exit_code == 10
    monkeypatch.delenv("BREAK")
    (tmp_path / ".alma" / "journal.db.key").unlink()
    assert cli("rollback", "latest").exit_code == 3
    assert cli("rollback", "latest", "-p", "token=@env:TOKEN").exit_code == 4


def test_a_secret_comes_from_stdin_and_is_read_once(tmp_path: Path) -> None:
    words = ["infra.py:shop", "-p", "token=-"]
    result = CliRunner().invoke(program, ["up", *words, "-p", "region=eu"], input="hunter22\n")
    assert result.exit_code == 0, result.output
    # Looked at twice: by what is in the journal, and for the function.
    other = CliRunner().invoke(program, ["destroy", *words], input="swordfish\n")
    assert "The parameter token was another one" in other.stderr
    assert CliRunner().invoke(program, ["destroy", *words], input="hunter22\n").exit_code == 0
    assert calls(tmp_path)[-1] == "unmake eu 2 hun"


def test_params_lists_what_a_function_takes_and_calls_nothing(cli: Call, write: Write) -> None:
    result = cli("params", "infra.py")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["region", "'eu'", "|", "'us'", "(required)"] in lines
    assert ["size", "Size", "small"] in lines
    assert ["limits", "dict[str,", "int]", "|", "None", "None"] in lines
    found = {one["name"]: one for one in json.loads(cli("params", "infra.py", "--json").stdout)}
    assert found["token"] == {
        "name": "token",
        "type": "Secret",
        "required": True,
        "default": None,
        "secret": True,
    }
    assert found["zones"]["default"] == ["a"]
    write(PLACED)
    assert "takes no parameters" in cli("params").stdout


def test_a_function_that_was_never_deployed_is_told_what_it_needs(
    cli: Call, tmp_path: Path
) -> None:
    result = cli("destroy", "infra.py:shop", "--yes")
    assert result.exit_code == 2
    assert "shop in infra.py needs the parameter region" in result.stderr
    assert names(tmp_path) == ["infra.py"]
