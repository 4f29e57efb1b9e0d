"""What stands before every page: who asks, from where, and what a browser is told of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alma.web.access import is_from, one
from alma.web.site import Site

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC: Final = "/static/"
"""Has nothing of anybody: the page that lets nobody in has its look too."""
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_SAFE: Final = ("GET", "HEAD")


class Guard:
    """An ASGI application around the pages. Nothing is asked of them before it has let it in."""

    def __init__(self, pages: ASGIApp, site: Site) -> None:
        self._pages, self._site = pages, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is no HTTP is not answered at all."""
        if scope["type"] != "http":
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refused(Request(scope))
        await (answer or self._pages)(scope, receive, told)

    def _refused(self, request: Request) -> Response | None:
        """Why the request goes no further, as an answer; None where it may."""
        access, headers = self._site.access, request.headers
        host = one(headers.getlist("host"))
        if not access.is_own(host):
            return self._no(403, "This server is not known by that name.")
        if not (path := request.scope["path"]).isprintable():
            return self._no(400, "No page has such an address.")
        if path.startswith(STATIC):
            return None
        if access.user_header:
            if not (user := one(headers.getlist(access.user_header))):
                return self._no(401, f"The proxy says of nobody who asks ({access.user_header}).")
        else:
            user = ""
            if request.method in _SAFE and {"token", "code"} & request.query_params.keys():
                return self._by_token(request)
            if not access.is_cookie(request.cookies.get(access.cookie_name, "")):
                return self._no(401, "Open the URL that `alma-pulumi ui` has printed.")
        if request.method not in _SAFE and not _is_own_page(headers, host):
            return self._no(403, "That did not come from a page of this server.")
        request.scope["user"] = user
        return None

    def _by_token(self, request: Request) -> Response:
        access = self._site.access
        token, code = (request.query_params.get(name, "") for name in ("token", "code"))
        if not (access.is_token(token) or code in self._site.codes):
            return self._no(401, "That is not the token that `alma-pulumi ui` has printed.")
        self._site.codes.discard(code)
        rest = [each for each in parse_qsl(request.url.query) if each[0] not in ("token", "code")]
        # Of the path alone: one that begins with two slashes would be another host's.
        path = "/" + quote(request.scope["path"].lstrip("/\\"))
        answer = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
        answer.set_cookie(
            access.cookie_name, access.cookie, path="/", httponly=True, samesite="strict"
        )
        return answer

    def _no(self, status: int, why: str) -> Response:
        return self._site.page("refused.html", status, title="Not let in", why=why)


def _is_own_page(headers: Headers, host: str) -> bool:
    site = headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and is_from(one(headers.getlist("origin")), host)
