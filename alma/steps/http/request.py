"""A request to an HTTP API as data, and what can be seen to be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from alma.core.secret import Secret, secrets_in, unwrap
from alma.core.validation import plain_value
from alma.errors import DefinitionError

PLACEHOLDER: Final = re.compile(r"\{(inputs|outputs)\.([A-Za-z0-9_][A-Za-z0-9_.-]*)\}")
_CREDENTIALS: Final = re.compile(r"auth|cookie|token|secret|password|api-?key", re.IGNORECASE)
_HARMLESS: Final = re.compile(
    r"accept(-[\w-]+)?|content-(type|language)|user-agent|prefer|if-(none-)?match|if-(un)?modified-since"
    r"|cache-control|pragma|idempotency-key|(x-)?(request|correlation)-id|traceparent|tracestate"
    r"|([\w-]+-)?version",
    re.IGNORECASE,
)
"""Headers that are known to carry no credentials."""
_WORD: Final = re.compile(r".{0,7}|[a-z -]{8,20}|[A-Z][a-z]{7,20}", re.DOTALL)
"""What tells nothing: `prod` as a secret would be taken out of every text."""
_ORIGIN: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_METHOD: Final = re.compile(r"[A-Z]+")


Expected = int | Iterable[int] | Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """A request as data. `{inputs.name}` and `{outputs.name}` in any text are filled in.

    `outputs` are what the step's own `do` was answered, for `undo` and `check`; a dot goes into
    an object (`{outputs.record.id}`). A text that is one placeholder and nothing else becomes the
    value itself. In the URL a value is quoted, unless it begins it. Headers are secret of
    themselves, but for those that are known to be harmless; `Secret`s can stand anywhere.
    """

    method: str
    url: str
    json: Any = field(default=None, kw_only=True)
    headers: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    params: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    expect: Expected | None = field(default=None, kw_only=True)
    """What shows that it was done: a status or several, or fields of the JSON answer with their
    values. Without it: any 2xx but a web page, to an undo 404 and 410 as well, to a check only
    these two."""

    def __post_init__(self) -> None:
        """Take headers with credentials for secret, and the method in any case."""
        headers = {
            name: Secret(value)
            if isinstance(value, str) and _is_credential(name, value) and not _is_reference(value)
            else value
            for name, value in self.headers.items()
        }
        object.__setattr__(self, "headers", headers)
        object.__setattr__(self, "method", str(self.method).upper())
        if not isinstance(self.expect, int | Mapping | None):
            object.__setattr__(self, "expect", tuple(self.expect))

    def references(self) -> frozenset[tuple[str, str]]:
        """What its placeholders name: ("inputs" or "outputs", name)."""
        return frozenset(_references([self.url, self.json, self.headers, self.params, self.expect]))

    def is_plain(self) -> bool:
        """Whether the journal may keep it: no secret in it, and no query, which often is one."""
        parts = [self.url, self.json, self.headers, self.expect]
        return not (any(secrets_in(parts)) or self.params or urlsplit(self.url).query)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, of a plain one."""
        found = asdict(self)
        if self.expect is None:
            del found["expect"]  # as it was before there was any
        return found


def is_harmless(header: str) -> bool:
    """Whether a header of this name is known to carry no credentials."""
    return _HARMLESS.fullmatch(header) is not None and not _CREDENTIALS.search(header)


def _is_credential(name: str, value: str) -> bool:
    if _CREDENTIALS.search(name):
        return True
    return not is_harmless(name) and not _WORD.fullmatch(value)


def has_control(text: str) -> bool:
    """Whether it could end a header, and begin another one."""
    return _CONTROL.search(text) is not None


Asked = Request | Callable[..., Any]


def check_request(where: str, what: str, asked: object, inputs: Mapping[str, Any]) -> None:
    """Refuse what is no request, and placeholders that nothing will ever fill."""
    where = f"{where}: {what}"
    if callable(asked):
        return
    if not isinstance(asked, Request):
        raise DefinitionError(
            f"{where} must be a Request or a callable that returns one, not {asked!r}.",
            hint='Write Request("POST", "https://...", json={...}).',
        )
    if not _METHOD.fullmatch(asked.method):
        raise DefinitionError(f"{where}: {asked.method!r} is no HTTP method.")
    _check_url(where, asked.url)
    _check_expected(where, asked.expect)
    for name, value in (("json", asked.json), ("headers", asked.headers), ("params", asked.params)):
        if value is not None:
            plain_value(f"{where}: {name}", value, null=True)
    _check_headers(where, asked)
    for kind, name in sorted(asked.references()):
        if kind == "inputs" and not _among_any(name, inputs):
            raise DefinitionError(
                f"{where}: {{inputs.{name}}} stands for no input of the step.",
                hint=f"Its inputs: {', '.join(sorted(inputs)) or 'none'}.",
            )
        if kind == "outputs" and what in ("do", "existed"):
            raise DefinitionError(
                f"{where}: {{outputs.{name}}} is known only once it is done.",
                hint="Take outputs of other steps as inputs.",
            )


def _check_headers(where: str, asked: Request) -> None:
    for name, value in asked.headers.items():
        if has_control(f"{name}{unwrap(value)}"):
            raise DefinitionError(
                f"{where}: the header {name!r} holds a control character.",
                hint="A line end of the file that it was read from? Then .strip() it.",
            )


def _check_expected(where: str, expected: Expected | None) -> None:
    if expected is None:
        return
    if isinstance(expected, Mapping):
        plain_value(f"{where}: expect", expected, null=True)
    statuses = [] if isinstance(expected, Mapping) else expected
    for status in [statuses] if isinstance(statuses, int) else statuses:
        if type(status) is not int or not 100 <= status <= 599:  # noqa: PLR2004 - RFC 9110, 15
            raise DefinitionError(f"{where}: expect: {status!r} is no HTTP status.")
    if not expected:
        raise DefinitionError(f"{where}: expect says nothing.")


def _check_url(where: str, url: str) -> None:
    start = PLACEHOLDER.match(url)
    try:
        parts = urlsplit(PLACEHOLDER.sub("x", url))
    except ValueError as error:
        raise DefinitionError(f"{where}: {url!r} is no URL: {error}.") from error
    if start is None and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise DefinitionError(f"{where}: {url!r} is no http:// or https:// URL.")
    if "@" in parts.netloc:
        raise DefinitionError(
            f"{where}: the URL holds a user or password.",
            hint='Use headers={"Authorization": Secret("...")}.',
        )


def _is_reference(text: str) -> bool:
    return PLACEHOLDER.fullmatch(text) is not None


def _references(tree: Any) -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield from PLACEHOLDER.findall(tree)
    elif isinstance(tree, Secret):
        yield from _references(tree.value)
    elif isinstance(tree, Mapping):
        yield from (found for value in tree.values() for found in _references(value))
    elif isinstance(tree, list | tuple):
        yield from (found for value in tree for found in _references(value))


def origin_of(url: str) -> str:
    """What of a URL as written says where it goes: placeholders may stand in it."""
    start = PLACEHOLDER.match(url)
    if start is not None:
        return start[0]
    found = _ORIGIN.match(PLACEHOLDER.sub(lambda found: "x" * len(found[0]), url))
    return url[: found.end()] if found else ""


def goes_by_outputs(request: Request) -> bool:
    """Whether what the API was answered says to which host it goes."""
    return any(kind == "outputs" for kind, _ in PLACEHOLDER.findall(origin_of(request.url)))


def is_among(key: str, names: set[str]) -> bool:
    """Whether a placeholder names it, or something in it."""
    return any(name == key or name.startswith(f"{key}.") for name in names)


def _among_any(name: str, keys: Mapping[str, Any]) -> bool:
    return any(is_among(key, {name}) for key in keys)
