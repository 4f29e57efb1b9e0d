"""What an error of the Docker SDK means."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

import requests
from docker.errors import APIError, DockerException, NotFound
from urllib3.exceptions import NewConnectionError

IN_USE = 5.0
"""Seconds to wait for the users of a network or of a volume to be gone."""


def sentence(error: BaseException) -> str:
    """The error in the daemon's own words; for a lost connection, those of the system."""
    if isinstance(error, APIError):
        said = error.explanation
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said or error)
        return f"Docker answers {error.status_code}: {text.strip()}"
    root = error
    if isinstance(error, DockerException | requests.RequestException):
        while (cause := root.__cause__ or root.__context__) is not None:
            root = cause
    told = root.strerror if isinstance(root, OSError) else None
    return told or str(root).strip() or type(root).__name__


def in_doubt(error: Exception) -> bool:
    """Whether the daemon may have done what it was asked, although no answer says so."""
    if isinstance(error, APIError):
        # Of a proxy in between. The daemon's own 500 is a plain no: it says so of a bad subnet too.
        return error.status_code in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NewConnectionError | FileNotFoundError | ConnectionRefusedError):
            return False
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, requests.RequestException)


def remove(work: Callable[[], object]) -> None:
    """Delete what may still be in use for a moment. Gone already is a success."""
    deadline = time.monotonic() + IN_USE
    while True:
        try:
            work()
        except NotFound:
            return
        except APIError as error:
            # 403 is a network with endpoints, 409 a volume with a container.
            busy = error.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
