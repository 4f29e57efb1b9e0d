"""Sending a request, with httpx, and saying what its answer means. Secrets are opened here only."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from alma.core.secret import unwrap
from alma.core.validation import NotJsonError, check_json
from alma.errors import ToolError
from alma.steps.http.request import Request

KEY_HEADER: Final = "Idempotency-Key"
"""https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""
_CONNECT: Final = 10.0
_READ: Final = 60.0
"""Seconds without a byte of the answer, where the step sets no timeout ..."""
_WHOLE: Final = 600.0
"""... and for all of it: else a byte a minute would hold up the run, and its undo."""
_ENCODINGS: Final = ("", "identity", "gzip", "x-gzip", "deflate")
"""How an answer may be packed: of others a few bytes can become as many as the memory holds."""
_LARGEST: Final = 1024 * 1024
"""Bytes of an answer that are read: a larger one is no result to pass on."""
_PAGE: Final = re.compile(rb"\s*(<[!?][^>]*>\s*)*<html\b", re.IGNORECASE)
_GONE: Final = (404, 410)
_LATER: Final = (408, 425, 429)
"""4xx that say nothing against asking again (RFC 9110, 8470 and 6585)."""


class UnansweredError(Exception):
    """No answer came. `arrived` is False when the request surely never got there."""

    def __init__(self, message: str, *, arrived: bool) -> None:
        super().__init__(message)
        self.arrived = arrived


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and the JSON that came with it (None for none); `wait`: Retry-After, in seconds."""

    status: int
    body: Any = None
    wait: float | None = None
    page: bool = False
    """Whether it is a web page: an API's answer is none, but a login's and a proxy's are."""
    problem: str = ""
    """What is wrong with its JSON, of which the body is None then."""

    @property
    def ok(self) -> bool:
        """A success, of whoever has answered."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3

    def shows(self, expected: Any) -> bool:
        """It was done: what was expected, or a success of the API itself."""
        if expected is None:
            return self.ok and not self.page
        if isinstance(expected, Mapping):
            return self.ok and all(_field(self.body, k) == unwrap(v) for k, v in expected.items())
        return self.status in ([expected] if isinstance(expected, int) else expected)

    @property
    def gone(self) -> bool:
        """It is not there."""
        return self.status in _GONE

    @property
    def refused(self) -> bool:
        """The same request would get the same answer."""
        return 300 <= self.status < 500 and self.status not in _LATER  # noqa: PLR2004 - RFC 9110

    @property
    def without_effect(self) -> bool:
        """It was surely not done. A form that was done is often answered by a redirect."""
        return self.refused and self.status not in (300, 301, 302, 303)


def require(what: str = "A step that sends requests") -> None:
    """Raises ToolError where httpx is not installed."""
    if importlib.util.find_spec("httpx") is None:
        raise ToolError(
            f"{what} needs httpx, which is not installed.",
            hint="pip install 'alma-pulumi[http]'",
        )


def shown(request: Request) -> str:
    """Method and URL for people: no query, no user, no password."""
    parts = urlsplit(request.url)
    host = parts.netloc.rpartition("@")[2]
    return f"{request.method} {parts.scheme}://{host}{parts.path}" if host else request.method


async def send(
    request: Request, key: str, seconds: float | None, content: bytes | None = None
) -> Answer:
    """Send it with its key; UnansweredError after `seconds`, or when no answer came.

    `content` is what is sent where it is no JSON of the request's own.
    """
    import httpx

    logger = logging.getLogger("httpx")
    if _hush not in logger.filters:
        logger.addFilter(_hush)
    headers = {KEY_HEADER: key, **{k: str(v) for k, v in unwrap(request.headers).items()}}
    limit = httpx.Timeout(_READ if seconds is None else seconds, connect=_CONNECT)
    client = httpx.AsyncClient(timeout=limit, headers={"Accept-Encoding": "gzip, deflate"})
    longest = _WHOLE if seconds is None else seconds
    token = _sending.set(True)
    try:
        async with asyncio.timeout(longest), client:
            try:
                asked = client.build_request(
                    request.method,
                    request.url,
                    json=unwrap(request.json),
                    content=content,
                    headers=headers,
                    params=unwrap(request.params) or None,
                )
            except (ValueError, TypeError, RecursionError) as error:
                # Not what it says: that has the value in it, and that may be secret.
                words = f"it cannot be written as a request ({type(error).__name__})"
                raise UnansweredError(words, arrived=False) from None
            response = await client.send(asked, stream=True)
            content = await _content(response)
            wait = _seconds(response.headers.get("Retry-After", ""))
            body, problem = _json(content)
            return Answer(
                status=response.status_code,
                body=body,
                wait=wait,
                page=bool(_PAGE.match(content)),
                problem=problem,
            )
    except TimeoutError as error:
        raise UnansweredError(f"no answer within {longest:g} s", arrived=True) from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise UnansweredError(f"no connection: {error}", arrived=False) from error
    except httpx.InvalidURL as error:
        raise UnansweredError(f"no URL: {error}", arrived=False) from error
    except httpx.HTTPError as error:
        words = str(error) or type(error).__name__
        raise UnansweredError(f"the answer never came: {words}", arrived=True) from error
    except UnansweredError:
        raise
    except Exception as error:
        words = f"the answer could not be taken ({type(error).__name__})"
        raise UnansweredError(words, arrived=True) from error
    finally:
        _sending.reset(token)


_sending: ContextVar[bool] = ContextVar("alma_sending", default=False)


def _hush(_record: logging.LogRecord) -> bool:
    """Keep httpx from logging our URLs, with the secrets in them; others' requests it may."""
    return not _sending.get()


async def _content(response: Any) -> bytes:
    content = b""
    if response.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
        return content
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > _LARGEST:
            break
    return content


def _json(content: bytes) -> tuple[Any, str]:
    """The content as JSON that alma can keep; None for what is none, and why it cannot."""
    if len(content) > _LARGEST:
        return None, ""
    try:
        return check_json(json.loads(content), "it"), ""
    except NotJsonError as error:
        return None, str(error)
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError:
        return None, ""


def _field(tree: Any, name: str) -> Any:
    """A field of an answer; a dot goes into an object, as in a placeholder."""
    for key in [name] if isinstance(tree, Mapping) and name in tree else name.split("."):
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def _seconds(text: str) -> float | None:
    """Retry-After: seconds, or a date (RFC 9110, 10.2.3)."""
    try:
        if text.strip().isdigit():
            return float(text)
        when = parsedate_to_datetime(text)
        return max((when - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
