"""Programs and objects of others: what they are given, and that they fail no run."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path

import pytest

from alma import NotifyCommand, Saga, SagaFailed, SagaInterrupted, Secret, Slack, Webhook
from alma.runner.approve import answer, name_here
from alma.runner.notices import sending
from alma.runner.settings import Settings
from tests.notices.tools import ALL, KEY, rows, saga, send, states


def test_a_command_gets_the_notice_on_its_stdin(journal: Path, tmp_path: Path) -> None:
    file = tmp_path / "got.json"
    made = saga(NotifyCommand(["sh", "-c", 'cat > "$1"', "sh", str(file)], on=["completed"]))
    made.run(journal=journal)
    assert json.loads(file.read_text())["type"] == "run.completed"
    assert states(journal) == [("completed", "delivered")]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exec sleep 300", "did not end within 0.5 s"),
        ("sleep 300 & sleep 300", "did not end within 0.5 s"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("exit 7", "ended with exit code 7"),
        ("yes", "did not end within 0.5 s"),
    ],
)
def test_a_command_that_does_not_do_fails_nothing(
    journal: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: str
) -> None:
    if "did not end" in error:
        monkeypatch.setattr(sending, "SECONDS", 0.5)
    made = saga(NotifyCommand(["sh", "-c", script], on=["completed"]))
    assert made.run(journal=journal).state.name == "COMPLETED"
    assert error in rows(journal)[0].error


def test_who_only_keeps_the_books_runs_no_program(journal: Path, tmp_path: Path) -> None:
    """A command of `notify` is run by its own saga, or where that is asked for."""
    file = tmp_path / "got"
    made = Saga("shop", notify=[NotifyCommand(["touch", str(file)], on=["refused"])])
    made.add_approval("go", [name_here()])
    with pytest.raises(SagaInterrupted):
        made.run(journal=journal)
    answer("latest", "go", approved=False, reason="no", settings=Settings(journal=journal))
    assert not file.exists()
    assert states(journal) == [("refused", "open")]
    send(journal)
    assert file.exists()


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(3), RecursionError(), MemoryError(), ValueError("\udcff")],
    ids=lambda error: type(error).__name__,
)
def test_an_object_that_raises_anything_fails_nothing(
    journal: Path, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """It is asked for once before the run, and then beside it."""

    class Odd:
        asked = 0

        def __str__(self) -> str:
            Odd.asked += 1
            if threading.current_thread() is threading.main_thread():
                return "http://127.0.0.1:9/x"
            raise error

    made = saga(Webhook(Secret(Odd()), on=ALL), fails=True)
    with pytest.raises(SagaFailed) as failed:
        made.run(journal=journal)
    assert failed.value.result.state.name == "COMPENSATED"
    assert failed.value.result.exit_code == 4
    assert Odd.asked > 1
    assert {row.state for row in rows(journal)} == {"open"}
    assert "Traceback" not in capfd.readouterr().err


def test_no_secret_is_anywhere(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a URL that was given, of one in the environment, of a key: not when all goes wrong."""
    key = base64.b64encode(KEY).decode()
    url = "http://127.0.0.1:9/services/sEcReTpath"
    monkeypatch.setenv("HOOK", url)
    monkeypatch.setenv("KEY", f"whsec_{key}")

    def work() -> None:
        raise ConnectionError(f"could not post to {url} with {key}")

    made = Saga(
        "shop",
        notify=[
            Slack(url_env="HOOK"),
            Webhook(Secret(url), secret_env="KEY", name="mine"),
            NotifyCommand(["sh", "-c", "echo $HOOK $KEY; echo $HOOK >&2; exit 3"]),
        ],
    )
    made.add_step("one", work, "none")
    with pytest.raises(SagaFailed) as failed:
        made.run(journal=journal)
    said = capfd.readouterr()
    kept = b"".join(each.read_bytes() for each in journal.parent.rglob("*") if each.is_file())
    told = f"{said.out}{said.err}{failed.value.result.error}{rows(journal)}".encode()
    for secret in (b"sEcReTpath", key.encode()):
        assert secret not in kept
        assert secret not in told
    assert "exit code 3" in " ".join(row.error for row in rows(journal))
