"""One attempt: an HTTP request, signed, or a program; what comes of it without its secrets."""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from alma.__about__ import __version__
from alma.core.event_parts import Notifier
from alma.core.secret import Secret
from alma.errors import AlmaError, DefinitionError
from alma.runner.notices.payload import Notice, body_of
from alma.runner.notices.slack import slack_body
from alma.saga.notify import check_url, key_of
from alma.steps.http import client
from alma.steps.http.request import Request

SECONDS: Final = 10.0
"""How long one attempt may take."""
_GONE: Final = 410
"""Of who wants nothing any more (RFC 9110, 15.5.11)."""


class Outcome(Struct, frozen=True, kw_only=True):
    """`error` is empty where it was delivered; `gone`: it is not wanted; `wait`: Retry-After."""

    error: str = ""
    gone: bool = False
    wait: float = 0.0


class Address(Struct, frozen=True, kw_only=True):
    """Where a notifier's notices go, with its secrets: never shown, never written."""

    kind: str
    url: str = ""
    key: bytes | None = None
    argv: tuple[str, ...] = ()


class UnknownAddressError(Exception):
    """It cannot be known here; the message says why."""


def address_of(
    notifier: Notifier, held: Mapping[str, Secret], environ: Mapping[str, str]
) -> Address:
    """Where it goes; UnknownAddressError where this process cannot know."""
    said = notifier.settings
    if "argv" in said:
        return Address(kind=notifier.kind, argv=tuple(map(str, said["argv"])))
    try:
        url = _value("url", said, held, environ)
        check_url(notifier.name, url)
        secret = _value("secret", said, held, environ)
        key = key_of(notifier.name, secret) if secret else None
    except DefinitionError as error:
        raise UnknownAddressError(error.message) from None
    return Address(kind=notifier.kind, url=url, key=key)


def secrets_of(address: Address) -> list[Secret]:
    """What must be seen nowhere: of a Slack URL, all of it is the secret."""
    found = [Secret(address.url)] if address.url else []
    if address.key is not None:
        found.append(Secret(base64.b64encode(address.key).decode()))
    return found


def _value(
    what: str, said: Mapping[str, Any], held: Mapping[str, Secret], environ: Mapping[str, str]
) -> str:
    if variable := said.get(f"{what}_env"):
        if not environ.get(str(variable), "").strip():
            raise UnknownAddressError(f"the environment variable {variable} is not set here")
        return environ[str(variable)].strip()
    value = said.get(what, "")
    if value is not True:
        return str(value)
    if what not in held:
        raise UnknownAddressError(f"its {what} is a secret that only the saga's own file gives")
    return str(held[what].value)


async def send(address: Address, notice: Notice, directory: str) -> Outcome:
    """Try once. Raises nothing but what ends the process."""
    try:
        if address.argv:
            return await asyncio.to_thread(_run, address, notice, directory)
        return await _post(address, notice)
    except AlmaError as error:
        return Outcome(error=error.message)
    except Exception as error:  # noqa: BLE001 - its words may hold what they are about
        return Outcome(error=f"it could not be sent ({type(error).__name__})")


async def _post(address: Address, notice: Notice) -> Outcome:
    client.require("A notice to a URL")
    body = slack_body(notice) if address.kind == "slack" else body_of(notice)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"alma-pulumi/{__version__}",
        **({} if address.kind == "slack" else signed(notice.id, body, address.key, time.time())),
    }
    request = Request("POST", address.url, headers=headers)
    try:
        answer = await client.send(request, notice.id, SECONDS, content=body)
    except client.UnansweredError as error:
        return Outcome(error=str(error))
    if answer.ok:
        return Outcome()
    words = f"the answer was {answer.status}"
    return Outcome(error=words, gone=answer.status == _GONE, wait=answer.wait or 0.0)


def signed(notice: str, body: bytes, key: bytes | None, now: float) -> dict[str, str]:
    """The headers of Standard Webhooks: https://www.standardwebhooks.com."""
    stamp = str(int(now))
    found = {"webhook-id": notice, "webhook-timestamp": stamp}
    if key is not None:
        mac = hmac.digest(key, f"{notice}.{stamp}.".encode() + body, "sha256")
        found["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return found


def _run(address: Address, notice: Notice, directory: str) -> Outcome:
    """What it says is kept nowhere: nobody knows what is secret in it."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(body_of(notice))
        stdin.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 - what the saga says
                list(address.argv),
                cwd=directory if directory and Path(directory).is_dir() else None,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(error=f"the command could not be started: {error.strerror}")
    try:
        code = process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Outcome(error=f"the command did not end within {SECONDS:g} s")
    if code < 0:
        return Outcome(error=f"the command was killed by {signal.Signals(-code).name}")
    return Outcome(error=f"the command ended with exit code {code}" if code else "")
