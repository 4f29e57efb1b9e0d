"""A request with its values in place, sent only where it may go.

What an API was answered fills the undo. So that whoever gave that answer chooses neither another
host for our credentials nor a path above what was written, each value is held against its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, unquote

from alma.core.secret import Secret, secrets_in, unwrap
from alma.core.validation import is_whole
from alma.steps.http.request import (
    PLACEHOLDER,
    Request,
    goes_by_outputs,
    has_control,
    is_harmless,
    origin_of,
)

Values = Mapping[str, Mapping[str, Any]]
"""`inputs` and `outputs`, by name."""

_NOWHERE: Final = ("", ".", "..")
"""Segments of a path that lead to what is above."""


class UnfilledError(Exception):
    """A placeholder without a value; `refused` says why there is one that may not stand there."""

    def __init__(self, name: str, refused: str = "") -> None:
        super().__init__(f"{name}, which {refused}" if refused else name)
        self.refused = refused


def fill(request: Request, values: Values, origin: str = "") -> Request:
    """The request with `inputs` and `outputs` in place; UnfilledError names what is missing.

    Where an output says to which host it goes, and that is not the `origin` of the step's `do`
    (as written), it must not carry credentials.
    """
    filled = replace(
        request,
        url=_url(request.url, values),
        json=_filled(request.json, values),
        headers=_filled(request.headers, values),
        params=_filled(request.params, values),
        expect=_filled(request.expect, values),
    )
    for name, value in filled.headers.items():
        if has_control(f"{name}{unwrap(value)}"):
            raise UnfilledError(f"the header {name!r}", "holds a control character")
    if goes_by_outputs(request):
        _require_origin(origin_of(request.url), filled, _place(_url(origin, values, known=False)))
    return filled


def _require_origin(name: str, request: Request, known: str) -> None:
    there = _place(request.url)
    if there and there == known:
        return
    carried = [name for name in request.headers if not is_harmless(name)]
    if not there or carried or any(secrets_in([request.headers, request.json, request.params])):
        where = f"to {known}, where the step's own request went" if known else "to a known host"
        raise UnfilledError(name, f"does not lead {where}: it would be given our credentials")


def _place(url: str) -> str:
    """Scheme, host and port as whoever sends it sees them; empty for none, or with a user."""
    import httpx

    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        return ""
    if found.scheme not in ("http", "https") or not found.host or found.userinfo:
        return ""
    port = found.port or {"http": 80, "https": 443}[found.scheme]
    return f"{found.scheme}://{found.host}:{port}"


def _url(url: str, values: Values, *, known: bool = True) -> str:
    """The URL; what begins it stands as it is, what follows is quoted."""
    start = PLACEHOLDER.match(url)
    try:
        first = _begun(start, values) if start else ""
        rest = url[start.end() :] if start else url
        path, mark, query = rest.partition("?")
        segments = (_segment(segment, values) for segment in path.split("/"))
        return first + "/".join(segments) + mark + _quoted(query, values)
    except UnfilledError:
        if known:
            raise
        return ""


def _begun(start: Any, values: Values) -> str:
    text = str(unwrap(_value(start, values)))
    path = re.split("[?#]", text.partition("://")[2])[0]
    if not text or any(unquote(part) in (".", "..") for part in path.split("/")):
        raise UnfilledError(f"{start[1]}.{start[2]}", "leads to what is above it")
    return text


def _segment(segment: str, values: Values) -> str:
    filled = _quoted(segment, values)
    found = PLACEHOLDER.search(segment)
    if found and filled in _NOWHERE:
        raise UnfilledError(
            f"{found[1]}.{found[2]}", f"is {filled!r}: it leads to what is above it"
        )
    return filled


def _quoted(text: str, values: Values) -> str:
    def one(found: Any) -> str:
        value = unwrap(_value(found, values))
        if value is None or value == "" or isinstance(value, Mapping | list):
            raise UnfilledError(f"{found[1]}.{found[2]}", "is nothing that can stand in a URL")
        return quote(str(value), safe="")

    return PLACEHOLDER.sub(one, text)


def _filled(tree: Any, values: Values) -> Any:
    if isinstance(tree, str):
        whole = PLACEHOLDER.fullmatch(tree)
        if whole:
            return _value(whole, values)
        return PLACEHOLDER.sub(lambda found: str(unwrap(_value(found, values))), tree)
    if isinstance(tree, Secret):
        return Secret(_filled(tree.value, values))
    if isinstance(tree, Mapping):
        return {key: _filled(value, values) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_filled(value, values) for value in tree]
    return tree


def _value(found: Any, values: Values) -> Any:
    kind, name = found[1], found[2]
    tree: Any = values[kind]
    for key in [name] if name in tree else name.split("."):
        tree = unwrap(tree) if isinstance(tree, Secret) else tree
        if not isinstance(tree, Mapping) or key not in tree:
            raise UnfilledError(f"{kind}.{name}")
        tree = tree[key]
    if not is_whole(tree):
        raise UnfilledError(f"{kind}.{name}, which is secret and in no journal")
    return tree
