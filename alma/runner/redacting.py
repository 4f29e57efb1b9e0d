"""What may not be shown of a run that somebody only writes a word to."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from alma.core.notice import secrets_of
from alma.core.redaction import Redactor
from alma.core.run import RunStatus
from alma.errors import AuthenticationError
from alma.journal import Journal
from alma.journal.known import given, known_outputs
from alma.system.environment import secrets_in_environment


def secrets_known_of(journal: Journal, run: RunStatus) -> list[Any]:
    """What is known to be secret in it, as far as that can be opened."""
    secrets: list[Any] = [known_outputs(journal, run).outputs, *secrets_in_environment(os.environ)]
    secrets += secrets_of(run.notify, os.environ)
    with suppress(AuthenticationError):  # only so that they are not shown
        secrets += given(journal, run).secrets
    return secrets


def redactor_of(journal: Journal, run: RunStatus) -> Redactor:
    """Of those."""
    redact = Redactor()
    redact.learn(secrets_known_of(journal, run))
    return redact
