"""`up --ttl`, `reap` and `extend` as somebody types them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from alma.journal import Journal
from alma.journal.journal import utc_now

Call = Callable[..., Result]
Write = Callable[..., Path]

SAGA = """
import os
from pathlib import Path
from alma import Saga

here = Path(__file__).parent

def environment(stack: str = "dev") -> Saga:
    saga = Saga("shop", stack=stack)
    record = here / f"{stack}.txt"

    def make():
        record.write_text("here")

    def unmake():
        if "LOCKED" in os.environ and stack == "one":
            raise PermissionError("the zone is locked")
        record.unlink(missing_ok=True)

    saga.add_step(make, unmake)
    return saga
"""

PLACED = """
from pathlib import Path
from alma import Saga

saga = Saga("shop")
record = Path(__file__).parent / f"{saga.stack}.txt"
saga.add_step(lambda: record.write_text("here"), lambda: record.unlink(), name="record")
"""


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Set the journal's clock forth."""

    def set_forth(by: timedelta) -> None:
        monkeypatch.setattr(Journal, "now", lambda _: utc_now() + by)

    return set_forth


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_what_has_expired_goes_and_the_rest_stays(
    here: Path, write: Write, cli: Call, later: Callable[[timedelta], None]
) -> None:
    write(SAGA)
    up = cli("up", "saga.py", "-p", "stack=one", "--ttl", "4h")
    assert up.exit_code == 0
    assert re.search(r"shop/one: up, 1 step \(run [^)]*\), expires 20\S+ \S+ UTC", up.stdout)
    assert "`alma-pulumi reap" in up.stdout
    cli("up", "saga.py", "-p", "stack=two", "--ttl", "2d")
    cli("up", "saga.py", "-p", "stack=three")
    nothing = cli("reap")
    assert (nothing.exit_code, nothing.stdout[:19]) == (0, "Nothing has expired")

    later(timedelta(hours=5))
    [run] = document(cli("runs", "--stack", "one", "--json"))
    assert "that is over: the next `reap` takes it down" in cli("status", run["run"]).stdout
    listed = document(cli("reap", "--preview-only", "--json"))
    assert [(one["stack"], one["way"], one["outcome"]) for one in listed["reaped"]] == [
        ("one", "destroy", None)
    ]
    done = cli("reap", "--json", "--report", "reaped.md")
    assert done.exit_code == 0, done.output
    [one] = document(done)["reaped"]
    assert (one["stack"], one["outcome"], one["leftovers"]) == ("one", "destroyed", [])
    assert (here / f"reaped-{one['runs'][0]}.md").exists()
    assert sorted(path.name for path in here.glob("*.txt")) == ["three.txt", "two.txt"]
    assert "as the time of run" in cli("history", one["runs"][0]).stdout
    assert cli("reap").exit_code == 0
    assert {run["expires_at"] is None for run in document(cli("status", "--all", "--json"))} == {
        True,
        False,
    }
    assert "EXPIRES" in cli("status", "--all").stdout


def test_a_list_says_only_what_is_still_so(write: Write, cli: Call) -> None:
    """The expiry of what an older run has left is the newer one's; what is gone has none."""
    write(PLACED)
    older = document(cli("up", "--ttl", "1h", "--json"))["expires_at"][:19].replace("T", " ")
    newer = document(cli("up", "--ttl", "9h", "--json"))["expires_at"][:19].replace("T", " ")
    assert newer in cli("runs").stdout
    assert older not in cli("runs").stdout
    assert newer in cli("status", "--all").stdout
    assert cli("destroy", "--yes").exit_code == 0
    assert "EXPIRES" not in cli("runs").stdout


def test_one_that_fails_holds_up_no_other_and_is_gone_on_with(
    here: Path,
    write: Write,
    cli: Call,
    later: Callable[[timedelta], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(SAGA)
    for stack in ("two", "one"):  # the newest comes first
        assert cli("up", "saga.py", "-p", f"stack={stack}", "--ttl", "4h").exit_code == 0
    later(timedelta(hours=5))
    monkeypatch.setenv("LOCKED", "1")
    failed = cli("reap", "--yes")
    assert failed.exit_code == 10
    assert "shop/one: left" in failed.stderr
    assert "the zone is locked" in failed.stderr
    assert "shop/two: destroyed" in failed.stderr
    assert [path.name for path in here.glob("*.txt")] == ["one.txt"]
    again = document(cli("reap", "--json"))
    assert again["exit_code"] == 10
    assert [left["step"] for left in again["reaped"][0]["leftovers"]] == ["make"]
    monkeypatch.delenv("LOCKED")
    assert cli("reap").exit_code == 0
    assert list(here.glob("*.txt")) == []


def test_a_file_that_is_gone_is_named_and_another_one_can_be_given(
    here: Path, write: Write, cli: Call, later: Callable[[timedelta], None]
) -> None:
    file = write(SAGA)
    cli("up", "saga.py", "--ttl", "4h")
    later(timedelta(hours=5))
    file.rename(here / "moved.py")
    refused = cli("reap")
    assert refused.exit_code == 10
    assert "shop/dev: left" in refused.stderr
    assert "alma-pulumi reap TARGET" in refused.stderr
    assert (here / "dev.txt").exists()
    (here / "moved.py").rename(file)
    other = write(
        "from alma import Saga\nsaga = Saga('other')\nsaga.add_step(print, print)", "b.py"
    )
    assert "Nothing has expired" in cli("reap", str(other)).stdout
    assert cli("reap", "saga.py").exit_code == 0
    assert not (here / "dev.txt").exists()


def test_a_target_means_its_saga_on_each_stack_as_it_was_said(
    here: Path, write: Write, cli: Call, later: Callable[[timedelta], None]
) -> None:
    """`--stack` of the command line is over what the file says, when it is taken down too."""
    write(PLACED)
    assert cli("up", "saga.py", "--stack", "pull-7", "--ttl", "4h").exit_code == 0
    assert cli("up", "saga.py", "--stack", "pull-8", "--ttl", "9h").exit_code == 0
    later(timedelta(hours=5))
    done = document(cli("reap", "saga.py", "--json"))
    assert [(one["stack"], one["outcome"]) for one in done["reaped"]] == [("pull-7", "destroyed")]
    assert [path.name for path in here.glob("*.txt")] == ["pull-8.txt"]
    later(timedelta(hours=10))
    assert "Nothing has expired" in cli("reap", "--stack", "pull-7").stdout
    assert document(cli("reap", "--stack", "pull-8", "--json"))["exit_code"] == 0
    assert list(here.glob("*.txt")) == []


def test_extend(
    here: Path,  # noqa: ARG001
    write: Write,
    cli: Call,
    later: Callable[[timedelta], None],
) -> None:
    write(SAGA)
    cli("up", "saga.py", "--ttl", "4h")
    said = cli("extend", "latest", "--by", "3h", "--reason", "the demo is late")
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("shop/dev expires 20")
    later(timedelta(hours=5))
    assert "Nothing has expired" in cli("reap").stdout
    assert "the demo is late" in cli("history", "latest").stdout
    lifted = cli("extend", "latest", "--ttl", "none", "--reason", "it stays", "--json")
    assert document(lifted)["expires_at"] is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--ttl", "soon"), 2, "--ttl cannot be 'soon': that is no time."),
        (("--by", "none"), 2, "--by cannot be none."),
        (("--until", "2026-12-01T18:00"), 2, "--until needs a time zone"),
        (("--until", "tomorrow"), 2, "--until cannot be 'tomorrow'"),
        ((), 2, "Give one of --ttl, --by and --until."),
        (("--ttl", "4h", "--by", "2h"), 2, "Give one of"),
        (("--ttl", "4h"), 2, "has left expires."),
    ],
)
def test_bad_words_to_extend_get_one_sentence(
    here: Path,  # noqa: ARG001
    write: Write,
    cli: Call,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    write(SAGA)
    assert cli("up", "saga.py").exit_code == 0
    refused = cli("extend", "latest", *words, "--reason", "why not")
    assert refused.exit_code == code
    assert said in refused.stderr
    assert "Traceback" not in refused.output


def test_a_ttl_that_is_none_is_refused_before_anything(
    here: Path,
    write: Write,
    cli: Call,
) -> None:
    write(SAGA)
    refused = cli("up", "saga.py", "--ttl", "4 hours")
    assert refused.exit_code == 2
    assert "--ttl cannot be '4 hours'" in refused.stderr
    assert not (here / ".alma").exists()
