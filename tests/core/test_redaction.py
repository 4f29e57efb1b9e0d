"""Known secrets taken out of messages, and marked in outputs."""

from __future__ import annotations

import json

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


def test_what_is_inside_a_secret_is_secret() -> None:
    """Values of a JSON document or a structure, whatever stands around a text, and numbers."""
    document = json.dumps({"key": "BEGIN\nCANARY-1\nEND\n", "mail": "robot@canary", "n": [8123]})
    redact = _redactor(document, {"deep": ["  CANARY-2\n"]}, 918273)
    for text in ("BEGIN\nCANARY-1\nEND", "robot@canary", "CANARY-2", "id 8123", "918273"):
        assert redact(f"<{text}>") in ("<[secret]>", "<id [secret]>"), text
    assert redact.clean({"pin": 918273, "port": 80, "on": True}) == {
        "pin": "[secret]",
        "port": 80,
        "on": True,
    }


def test_a_mask_is_not_masked_again() -> None:
    """Though its own word is a secret: what is clean stays as it is."""
    redact = _redactor("secret", "password-secret")
    once = redact("a password-secret and a secret")
    assert once == "a [secret] and a [secret]"
    assert redact(once) == once


def test_outputs_made_of_a_secret_are_secret() -> None:
    secrets = [Secret("a-long-secret"), Secret({"pin": "123"})]
    secrets.append(Secret(4321))
    outputs = {
        "n": 4321,
        "m": 43,
        "url": "x://a-long-secret@y",
        "pin": "123",
        "port": "1234",
        "tree": [{"a": "123"}],
    }
    assert mark_secrets(outputs, secrets) == {
        "n": Secret(4321),
        "m": 43,
        "url": Secret("x://a-long-secret@y"),
        "pin": Secret("123"),
        "port": Secret("1234"),
        "tree": [{"a": Secret("123")}],
    }
