"""Runs of actions, from the command line: what each end prints, and its exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.journal import open_journal
from tests.cli.tools import WAITING, wait_for

Write = Callable[..., Path]
Call = Callable[..., Result]
ALMA = [sys.executable, "-m", "alma"]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda how: monkeypatch.setenv("BREAK", how)


def test_a_completed_run_prints_lines_outputs_and_0(write: Write, cli: Call) -> None:
    write()
    result = cli("up")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^\[\d+\.\ds\] database: action started$", result.stdout, re.MULTILINE)
    assert re.search(r"^\[\d+\.\ds\] database: action completed$", result.stdout, re.MULTILINE)
    assert 'database.url: "http://db"' in result.stdout
    assert 'database.password: "[secret]"' in result.stdout
    assert "hunter22" not in result.output
    assert result.stdout.splitlines()[-1].startswith("shop/dev: COMPLETED in ")
    assert result.stderr == ""


def test_a_clean_failure_says_why_what_was_undone_and_what_next(
    write: Write, cli: Call, broken: Callable[[str], None]
) -> None:
    write()
    broken("action")
    result = cli("up")
    assert result.exit_code == 4
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: shop/dev (run ")
    assert 'failed at step "servers"; everything it did is verified undone' in lines[0]
    assert 'Step "servers", failed:' in lines
    assert "  RuntimeError: quota used up" in lines
    assert "  second line" in lines
    assert any(line.startswith("  log: .alma/logs/") for line in lines)
    assert lines[-1] == "hint: Mend the cause, then `alma-pulumi up saga.py:saga`."
    undone = lines[lines.index("Undone, and verified:") + 1 :]
    assert [line.split(":")[0].strip() for line in undone[:2]] == ["servers", "database"]
    assert "\x1b" not in result.output


def test_a_failed_undo_names_what_is_left(
    write: Write, cli: Call, broken: Callable[[str], None]
) -> None:
    write()
    broken("undo")
    result = cli("up")
    assert result.exit_code == 10
    assert "it is FAILED, with 2 leftovers" in result.stderr
    assert 'Step "servers", could not be undone:\n  RuntimeError: it is still in use' in (
        result.stderr
    )
    assert "Left behind:\n  database\n" in result.stderr
    assert re.search(r"hint: Mend the cause, then `alma-pulumi rollback \S+`\.$", result.stderr)


def test_a_rollback_that_succeeds_is_clean_and_a_resume_of_it_does_nothing(
    write: Write, cli: Call, broken: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    broken("undo")
    cli("up")
    monkeypatch.delenv("BREAK")
    assert cli("rollback", "latest").exit_code == 4
    with open_journal(Path(".alma/journal.db"), write=False) as journal:
        before = journal.head()
        assert cli("resume", "latest").exit_code == 4
        assert journal.head() == before


def test_destroy_in_a_pipe_does_not_ask(write: Write, cli: Call) -> None:
    write()
    cli("up")
    result = cli("destroy")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith("shop/dev: destroyed in ")
    runs = json.loads(cli("runs", "--json").stdout)
    assert [run["kind"] for run in runs] == ["destroy", "up"]


def test_a_rollback_of_a_completed_run_points_to_destroy(write: Write, cli: Call) -> None:
    write()
    cli("up")
    result = cli("rollback", "latest")
    assert result.exit_code == 2
    assert "alma-pulumi destroy" in result.stderr


def test_a_stuck_step_can_be_skipped_and_the_rest_is_undone(
    write: Write, cli: Call, broken: Callable[[str], None]
) -> None:
    write()
    broken("undo")
    cli("up")
    assert cli("skip", "latest", "servers").exit_code == 2
    assert cli("skip", "latest", "nowhere", "--reason", "x").exit_code == 2
    assert cli("skip", "latest", "servers", "--reason", "ticket 3").exit_code == 0
    result = cli("rollback", "latest")
    assert result.exit_code == 10
    assert "database: its compensation was called" in result.stderr
    assert result.stderr.endswith("hint: What is left must be removed by hand.\n")
    assert "skipped by" in cli("history", "latest").stdout


def test_an_abandoned_run_is_failed_and_names_what_is_left(
    write: Write, cli: Call, broken: Callable[[str], None]
) -> None:
    write()
    broken("undo")
    cli("up")
    result = cli("abandon", "latest", "--reason", "the account is closed")
    assert result.exit_code == 10
    assert "FAILED, with 2 leftovers" in result.stdout
    assert json.loads(cli("status", "--json").stdout)["state"] == "FAILED"


def test_a_changed_saga_is_refused_unless_accepted(write: Write, cli: Call) -> None:
    path = write(
        'from alma import Saga\nsaga = Saga("s", on_failure="stop")\n'
        "def a(): raise RuntimeError('no')\nsaga.add_step('a', action=a)\n"
    )
    assert cli("up").exit_code == 10
    path.write_text(path.read_text().replace("raise RuntimeError('no')", "return 1"))
    refused = cli("resume", "latest")
    assert refused.exit_code == 2
    assert "--accept-changes" in refused.stderr
    assert cli("resume", "latest", "--accept-changes").exit_code == 0


def test_resume_takes_another_file_where_the_journaled_one_is_gone(write: Write, cli: Call) -> None:
    text = (
        'import os\nfrom alma import Saga\nsaga = Saga("s", on_failure="stop")\n'
        "def a():\n    if not os.path.exists('moved.py'): raise RuntimeError('no')\n"
        "saga.add_step('a', action=a)\n"
    )
    path = write(text)
    assert cli("up").exit_code == 10
    path.rename(path.with_name("moved.py"))
    gone = cli("resume", "latest")
    assert gone.exit_code == 2
    assert "saga.py" in gone.stderr
    assert "--target" in gone.stderr
    assert cli("resume", "latest", "--target", "moved.py").exit_code == 0


def test_a_rollback_that_needs_no_function_goes_on_without_a_broken_file(
    write: Write, cli: Call
) -> None:
    path = write(
        'from alma import Saga\nsaga = Saga("s", on_failure="stop")\n'
        "def a(): raise RuntimeError('no')\nsaga.add_step('a', action=a)\n"
    )
    assert cli("up").exit_code == 10
    path.write_text("this is not Python")
    result = cli("rollback", "latest")  # the step has no compensation: nothing is to be called
    assert result.exit_code == 10
    assert result.stderr.startswith("note: The saga of run ")
    assert "undone from the journal alone" in result.stderr


def test_a_rollback_takes_no_other_saga_for_the_runs_own(write: Write, cli: Call) -> None:
    """The file has been changed so much that it has nothing to say of this run."""
    path = write(
        'from alma import Saga\nsaga = Saga("s", on_failure="stop")\n'
        "def a(): raise RuntimeError('no')\nsaga.add_step('a', action=a)\n"
    )
    assert cli("up").exit_code == 10
    path.write_text(path.read_text().replace('"s"', '"other"'))
    result = cli("rollback", "latest")
    assert result.exit_code == 10
    assert "has other/dev, not s/dev" in result.stderr


def test_of_a_file_with_several_sagas_a_run_knows_its_own(write: Write, tmp_path: Path) -> None:
    write(
        "import os\nfrom pathlib import Path\nfrom alma import Saga\n"
        "a, b = Saga('a'), Saga('b')\n"
        "for saga in (a, b):\n"
        "    saga.add_step('x', action=Path('made').touch, compensation=Path('made').unlink)\n"
        "    saga.add_step('y', action=lambda: os.kill(os.getpid(), 9), compensation='none')\n"
        "if __name__ == '__main__':\n    b.run()\n"
    )
    assert subprocess.run([sys.executable, "saga.py"], check=False).returncode == -9
    done = subprocess.run([*ALMA, "rollback", "latest"], capture_output=True, check=False)
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "made").exists()


def test_where_no_file_is_journaled_the_hint_says_target(cli: Call) -> None:
    code = (
        "import os\nfrom alma import Saga\nsaga = Saga('s')\n"
        "saga.add_step('a', action=lambda: os.kill(os.getpid(), 9), compensation='none')\n"
        "saga.run()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert re.search(r"alma-pulumi rollback \S+ --target FILE\n", cli("status").stdout)


def test_two_runs_at_once_one_is_refused_with_11(
    write: Write, cli: Call, spawn: Spawn, tmp_path: Path
) -> None:
    write(WAITING)
    first = spawn("up")
    wait_for(tmp_path / "at-work")
    second = cli("up")
    status = cli("status")
    doctor = cli("doctor")
    (tmp_path / "go").touch()
    assert second.exit_code == 11
    assert f"pid {first.pid}" in second.stderr
    assert f"running now, pid {first.pid} on " in status.stdout
    assert "(interrupted)" not in status.stdout
    assert "is running now" in doctor.stdout
    assert first.wait(30) == 0


def test_up_goes_on_with_a_run_that_was_killed(
    write: Write, cli: Call, spawn: Spawn, tmp_path: Path
) -> None:
    write(WAITING)
    first = spawn("up")
    wait_for(tmp_path / "at-work")
    first.kill()
    first.wait()
    (tmp_path / "go").touch()
    assert cli("up").exit_code == 0
    (run,) = json.loads(cli("runs", "--json").stdout)
    assert run["state"] == "COMPLETED"


def test_an_interrupted_run_must_be_ended_first(
    write: Write, cli: Call, spawn: Spawn, tmp_path: Path
) -> None:
    write(WAITING)
    first = spawn("up")
    wait_for(tmp_path / "at-work")
    first.kill()
    first.wait()
    assert cli("destroy").exit_code == 11
    status = cli("status")
    assert status.exit_code == 0
    assert "State    RUNNING (interrupted)" in status.stdout
    assert re.search(
        r"Go on with:\n  alma-pulumi resume \S+\n  alma-pulumi rollback", status.stdout
    )
    assert "RUNNING (interrupted)" in cli("runs").stdout
    document = json.loads(cli("status", "--json").stdout)
    assert (document["interrupted"], document["exit_code"]) == (True, 8)
    doctor = cli("doctor")
    assert doctor.exit_code in (0, 1)
    assert "RUNNING (interrupted)" in doctor.stdout
    (tmp_path / "go").touch()
    assert cli("resume", "latest").exit_code == 0
    assert (tmp_path / "last").exists()


def test_the_journal_can_be_given_before_and_after_the_command(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    write()
    assert cli("--journal", "a/j.db", "up").exit_code == 0
    assert cli("up", "--journal", "b/j.db").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "saga.py"]
    assert len(json.loads(cli("runs", "--json", "--journal", "a/j.db").stdout)) == 1


def test_commands_in_a_report_repeat_the_journal(
    write: Write, cli: Call, broken: Callable[[str], None]
) -> None:
    write()
    broken("undo")
    result = cli("up", "--journal", "my dir/j.db")
    assert re.search(r"`alma-pulumi rollback \S+ --journal 'my dir/j.db'`", result.stderr)


def test_many_leftovers_are_cut_in_a_report_and_all_in_status(write: Write, cli: Call) -> None:
    steps = "".join(f"saga.add_step('s{i}', action=nothing, after=[])\n" for i in range(30))
    write(
        "from alma import Saga\nsaga = Saga('many')\ndef nothing(): pass\n"
        "def no(): raise RuntimeError('no')\n"
        f"{steps}saga.add_step('bad', action=no, after=[f's{{i}}' for i in range(30)])\n"
    )
    result = cli("up")
    assert result.exit_code == 10
    assert "  ... and 11 more: `alma-pulumi status " in result.stderr
    status = cli("status").stdout
    left = status[status.index("Left behind:") :].splitlines()
    assert sum(line in [f"  s{i}" for i in range(30)] for line in left) == 30


@pytest.mark.parametrize("words", [("--host-is-gone",), ("--host-is-gone", "--reason", " ")])
@pytest.mark.parametrize("command", ["resume", "rollback"])
def test_that_a_host_is_gone_is_said_with_why(
    write: Write, cli: Call, command: str, words: tuple[str, ...]
) -> None:
    write()
    cli("up")
    told = cli(command, "latest", *words)
    assert told.exit_code == 2
    assert "--reason" in told.stderr
