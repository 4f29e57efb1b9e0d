"""Known secrets taken out of logs and messages, and marked in outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alma.core.events import Failure
from alma.core.redaction import Redactor, mark_secrets
from alma.core.secret import Secret
from alma.pulumi.scrub import clean_failure, scrub

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _redactor(*values: object) -> Redactor:
    redact = Redactor()
    redact.learn([Secret(value) for value in values])
    return redact


def test_logs_are_cleaned_and_stay_private(tmp_path: Path) -> None:
    log = tmp_path / "pulumi.log"
    log.write_bytes(b"before\nx CANARY-1 y\n\xff CANARY-2\n")
    scrub(tmp_path, _redactor("CANARY-1", {"deep": "CANARY-2"}))
    assert log.read_bytes() == b"before\nx [secret] y\n\xff [secret]\n"
    assert log.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["pulumi.log"]


def test_a_clean_log_is_the_same_file(tmp_path: Path) -> None:
    log = tmp_path / "pulumi.log"
    log.write_text("nothing in it\n")
    before = log.stat().st_ino
    scrub(tmp_path, _redactor("CANARY"))
    assert log.stat().st_ino == before


def test_a_log_that_cannot_be_cleaned_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "pulumi.log"
    log.write_text("CANARY\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(log), "replace", full)
    scrub(tmp_path, _redactor("CANARY"))
    assert list(tmp_path.iterdir()) == []


def test_messages_are_cleaned() -> None:
    failure = Failure(kind="provider", message="no CANARY here", hint="nor CANARY there")
    assert clean_failure(failure, _redactor("CANARY")) == Failure(
        kind="provider", message="no [secret] here", hint="nor [secret] there"
    )


def test_outputs_made_of_a_secret_are_secret() -> None:
    secrets = [Secret("a-long-secret"), Secret({"pin": "123"})]
    outputs = {"url": "x://a-long-secret@y", "pin": "123", "port": "1234", "tree": [{"a": "123"}]}
    assert mark_secrets(outputs, secrets) == {
        "url": Secret("x://a-long-secret@y"),
        "pin": Secret("123"),
        "port": "1234",
        "tree": [{"a": Secret("123")}],
    }
