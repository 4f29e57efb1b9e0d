"""The application: which page is where, and what is said where none can be made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from alma.errors import AlmaError, JournalError, RunNotFoundError
from alma.web import actions, drift, live, logs, run, runs
from alma.web.guard import STATIC, Guard
from alma.web.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp


def application(site: Site) -> ASGIApp:
    """All pages of a site, behind its guard."""

    def at(path: str, page: Callable[[Site, Request], Response]) -> Route:
        # A function that is no coroutine runs in a thread: a journal is read with no loop waiting.
        return Route(path, partial(page, site), methods=["GET"])

    acting = []
    if site.actions:
        path = "/runs/{run}/actions/{name}"
        acting = [
            at(path, actions.form),
            Route(path, partial(actions.take, site), methods=["POST"]),
        ]
    pages = Starlette(
        routes=[
            *acting,
            at("/", runs.page),
            at("/drift", drift.page),
            at("/runs/{run}", run.page),
            Route("/runs/{run}/events", partial(live.stream, site), methods=["GET"]),
            at("/runs/{run}/logs", logs.page),
            at("/runs/{run}/logs/{step:path}", logs.page),
            Route(f"{STATIC}run.css", _look_of_runs, methods=["GET"]),
            Mount(STATIC, StaticFiles(packages=[("alma.web", "static")])),
        ],
        exception_handlers={
            AlmaError: partial(_told, site),
            HTTPException: partial(_http, site),
            500: partial(_bug, site),
        },
    )
    return Guard(pages, site)


def _look_of_runs(_request: Request) -> Response:
    """As reports have it."""
    file = files("alma.reports").joinpath("templates", "style.css")
    return Response(file.read_bytes(), media_type="text/css")


def _told(site: Site, _request: Request, error: Exception) -> Response:
    """What alma refuses, with its way out."""
    assert isinstance(error, AlmaError)  # noqa: S101 - whom this is registered for
    status = 503 if isinstance(error, JournalError) else 400
    status = 404 if isinstance(error, RunNotFoundError) else status
    return site.page(
        "error.html", status, title="It cannot be shown", what=error.message, hint=error.hint
    )


def _http(site: Site, request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    if request.scope["path"].startswith(STATIC):  # to whoever asks
        return Response(status_code=error.status_code)
    what = HTTPStatus(error.status_code).phrase
    return site.page("error.html", error.status_code, title=what, what=f"{what}.", hint="")


def _bug(site: Site, _request: Request, error: Exception) -> Response:
    what = f"This is a bug in alma ({type(error).__name__}: {error})."
    hint = "Please report it with what the server's terminal shows."
    return site.page("error.html", 500, title="A bug", what=what, hint=hint)
