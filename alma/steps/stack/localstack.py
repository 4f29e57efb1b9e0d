"""Is the LocalStack there that a saga is aimed at? Asked before anything is started or written."""

from __future__ import annotations

import asyncio
import json
import ssl
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from alma.core.definition import Definition
from alma.core.localstack import LocalStack
from alma.errors import UnreachableError

HEALTH: Final = "/_localstack/health"
"""Answers with the state of LocalStack's services, without starting any of them."""

_PATIENCE: Final = 10.0
"""Seconds. The answer takes milliseconds; a machine that is starting up may be slow."""


async def require_target(definition: Definition) -> None:
    """Raise UnreachableError unless the LocalStack that the stacks of the saga go to answers."""
    if definition.aws is None or not any(step.kind == "stack" for step in definition.steps):
        return
    why = await asyncio.to_thread(trouble, definition.aws)
    if why:
        raise UnreachableError(
            f'LocalStack at {definition.aws.url}, where AWS steps of saga "{definition.saga}" go, '
            f"{why}.",
            hint="Start it (`localstack start -d`), or say where it is: --localstack URL, or "
            "aws=LocalStack(url).",
        )


def trouble(localstack: LocalStack) -> str:
    """What is wrong with it, in words that follow its name; empty when it answers. Blocks."""
    # Here: most sagas ask nobody, and it brings in what reads mail.
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(localstack.url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_PATIENCE)
    try:
        connection.request("GET", HEALTH)
        answer = connection.getresponse()
        body = answer.read()
    except TimeoutError:
        return f"did not answer within {_PATIENCE:g} seconds"
    except ssl.SSLError as error:
        return f"cannot be reached: {error.reason or error}"
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"cannot be reached: {reason}"
    finally:
        connection.close()
    try:
        known = "services" in json.loads(body)
    except (ValueError, TypeError):
        known = False
    if answer.status != HTTPStatus.OK or not known:
        return f"does not answer as a LocalStack does (status {answer.status} at {HEALTH})"
    return ""
