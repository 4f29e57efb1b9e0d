"""Known secrets taken out of messages, and marked in outputs."""

from __future__ import annotations

from alma.core.events import Failure
from alma.core.redaction import Redactor, clean_failure, mark_secrets
from alma.core.secret import Secret


def _redactor(*values: object) -> Redactor:
    redact = Redactor()
    redact.learn([Secret(value) for value in values])
    return redact


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
