"""`logs`: what operations have said, live or afterwards, and no secret in it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from alma.core.events import OperationIntended
from alma.journal import open_journal
from alma.runner.logs import KEPT_BYTES, KEPT_LINES, kept_ends
from alma.system.files import open_log
from tests.cli.tools import WAITING, read_until, wait_for

Write = Callable[..., Path]
Call = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]

# Its first step gives a secret; its second is at work until the file `go` is there.
SECRET = WAITING.replace("from alma import Saga", "from alma import Saga, Secret").replace(
    'saga.add_step("slow"',
    'saga.add_step("first", action=lambda: {"password": Secret("hunter-22")}, '
    'compensation="none")\nsaga.add_step("slow"',
)


def operation_directory(tmp_path: Path) -> Path:
    """Of the operation that is at work, made as whoever writes a log there makes it."""
    with open_journal(tmp_path / ".alma" / "journal.db", write=False) as journal:
        run = journal.resolve("latest")
        events = [entry.event for entry in journal.events(run)]
    begun = [event for event in events if isinstance(event, OperationIntended)]
    directory = Path(begun[-1].log)
    directory.mkdir(parents=True)
    return directory


def test_a_failure_leaves_its_traceback_and_an_action_that_works_no_log(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    monkeypatch.setenv("BREAK", "action")
    assert cli("up").exit_code == 4
    all_of_it = cli("logs", "latest")
    assert all_of_it.exit_code == 0, all_of_it.stderr
    lines = all_of_it.stdout.splitlines()
    assert all(line.startswith(("database | ", "servers | ")) for line in lines)
    assert "database |   no log is left of it" in lines
    assert "servers |   RuntimeError: quota used up" in lines
    assert any("traceback.txt" in line for line in lines)
    one = cli("logs", "latest", "servers").stdout
    assert "database" not in one
    assert "\n  RuntimeError: quota used up\n  second line\n" in one
    document = json.loads(cli("logs", "latest", "servers", "--json").stdout)
    assert [(each["step"], each["kind"]) for each in document] == [
        ("servers", "action"),
        ("servers", "compensation"),
    ]
    assert "quota" in document[0]["files"][0]["text"]
    assert document[1]["reason"] == "no log is left of it"


def test_a_live_log_is_followed_to_the_end_without_its_secrets(
    write: Write, spawn: Spawn, tmp_path: Path
) -> None:
    write(SECRET)
    up = spawn("up")
    wait_for(tmp_path / "at-work")
    log = operation_directory(tmp_path) / "pulumi.log"
    with open_log(log) as file:
        file.write(b"the password is hunter-22\nhalf a ")
    following = spawn("logs", "latest", "slow", "--follow")
    seen = read_until(following, "the password is")
    assert "the password is [secret]" in seen
    with open_log(log) as file:
        file.write(b"line\n::stop-commands::x\n")
    # Put in its own place by a file with other lengths, as it is when it is cleaned.
    cleaned = log.with_name("clean")
    cleaned.write_text("the password is [secret]\nhalf a line\n::stop-commands::x\nat its end\n")
    cleaned.replace(log)
    rest = read_until(following, "at its end")
    assert [line.strip() for line in rest.splitlines()] == [
        "half a line",
        ": :stop-commands::x",
        "at its end",
    ]
    (tmp_path / "go").touch()
    _, err = following.communicate(timeout=300)
    assert (following.returncode, err) == (0, "")
    up.communicate(timeout=300)


def test_what_follows_is_stopped_quietly(write: Write, spawn: Spawn, tmp_path: Path) -> None:
    write(SECRET)
    up = spawn("up")
    wait_for(tmp_path / "at-work")
    (operation_directory(tmp_path) / "pulumi.log").write_text("hello\n")
    following = spawn("logs", "latest", "-f")
    read_until(following, "hello")
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=300)
    assert (following.returncode, err) == (8, "")
    (tmp_path / "go").touch()
    up.communicate(timeout=300)


def test_without_the_key_the_log_of_a_run_that_was_killed_is_not_shown(
    write: Write, spawn: Spawn, cli: Call, tmp_path: Path
) -> None:
    write(SECRET)
    up = spawn("up")
    wait_for(tmp_path / "at-work")
    (operation_directory(tmp_path) / "pulumi.log").write_text("the password is hunter-22\n")
    up.kill()
    up.wait()
    assert "the password is [secret]" in cli("logs", "latest").stdout
    (tmp_path / ".alma" / "journal.db.key").rename(tmp_path / "elsewhere")
    assert not (tmp_path / ".alma" / "journal.db.key").exists()
    shown = cli("logs", "latest")
    assert shown.exit_code == 0
    assert "hunter-22" not in shown.output
    assert "without the journal's key nobody knows which" in shown.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nonsense",), 6, "There is no run"),
        (("latest", "nonsense"), 2, 'has no step "nonsense".'),
        (("latest", "-f", "--json"), 2, "one document"),
    ],
)
def test_bad_input_is_a_sentence(
    write: Write, cli: Call, words: tuple[str, ...], code: int, said: str
) -> None:
    write()
    cli("up")
    told = cli("logs", *words)
    assert (told.exit_code, "Traceback" in told.output) == (code, False)
    assert said in told.stderr


def test_a_directory_that_others_can_write_is_refused(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    write()
    cli("up")
    (tmp_path / ".alma" / "logs").mkdir(exist_ok=True)
    (tmp_path / ".alma" / "logs").chmod(0o777)
    (tmp_path / ".alma").chmod(0o755)
    told = cli("logs", "latest")
    assert told.exit_code == 11
    assert "can be written by others" in told.stderr


def test_where_the_log_is_not_the_journal_has_its_last_lines(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    write(
        "from alma import Saga, Secret\n"
        'saga = Saga("s")\n'
        'saga.add_step("first", action=lambda: {"p": Secret("hunter-22")}, compensation="none")\n'
        "def fails():\n"
        "    lines = [f'line {n}' for n in range(60)]\n"
        "    raise RuntimeError('\\n'.join([*lines, 'said hunter-22']))\n"
        'saga.add_step("second", action=fails, compensation="none")\n'
    )
    assert cli("up").exit_code == 4
    here = [cli(command, "latest").stdout for command in ("status", "history")]
    assert not any("the end of" in shown for shown in here)
    shutil.rmtree(tmp_path / ".alma" / "logs")
    for command in ("status", "history", "logs"):
        shown = cli(command, "latest").stdout
        assert "line 59\n" in shown
        assert "said [secret]\n" in shown
        assert "line 30\n" not in shown.partition("the end of")[2]
        assert "hunter" not in shown
    assert "the log is not here; its last lines" in cli("logs", "latest", "second").stdout
    (end,) = json.loads(cli("status", "latest", "--json").stdout)["failure"]["log_ends"]
    assert end["name"] == "traceback.txt"
    assert end["text"].splitlines()[-2:] == ["line 59", "said [secret]"]
    assert len(end["text"].splitlines()) == KEPT_LINES


def test_what_is_kept_of_a_log_is_cleaned_before_it_is_cut(tmp_path: Path) -> None:
    secret = "\n".join(f"key line {n:04}" for n in range(400))
    (tmp_path / "tool.log").write_text(f"begin\n{secret}\nlast\n")
    (tmp_path / "wide.log").write_text("ü" * 50_000)
    (tmp_path / "empty.log").touch()
    tool, wide = kept_ends(tmp_path, lambda text: text.replace(secret, "[secret]"))
    assert (tool.name, tool.text) == ("tool.log", "begin\n[secret]\nlast")
    assert KEPT_BYTES - 1 <= len(wide.text.encode()) <= KEPT_BYTES
    assert set(wide.text) == {"ü"}
