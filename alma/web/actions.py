"""What can be done to a run, as `alma-pulumi` does it; only where `--actions` says so.

Each asks for the reason, which the journal keeps. What drives a run is a process of its own: it
goes on when this server ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from alma.errors import AlmaError, DefinitionError
from alma.journal.reading import view_run
from alma.reports import approvals
from alma.reports.report import ways_on
from alma.runner import apart, intervene
from alma.runner.approve import answer
from alma.runner.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from alma.journal.reading import RunView
    from alma.web.site import Site

LONGEST: Final = 65_536
"""Bytes of a form."""


class Action(Struct, frozen=True, kw_only=True):
    """What it is called, what it does, and what is said when it is done."""

    title: str
    does: str
    done: str


ACTIONS: Final[Mapping[str, Action]] = {
    "approve": Action(
        title="Approve",
        does="The run may do what it has planned. Nothing is begun by that: resume goes on.",
        done="It is approved. Resume goes on with it.",
    ),
    "refuse": Action(
        title="Refuse",
        does="The run may not do what it has planned. Nothing is undone by that: resume turns the "
        "run back.",
        done="It is refused. Resume turns the run back.",
    ),
    "resume": Action(
        title="Resume",
        does="The run goes on in the direction it had, in a process of its own.",
        done="It is gone on with, in a process of its own. What that says is below.",
    ),
    "rollback": Action(
        title="Roll back",
        does="All that the run did is undone, and that is verified, in a process of its own.",
        done="It is rolled back, in a process of its own. What that says is below.",
    ),
    "skip": Action(
        title="Skip",
        does="The undo goes past this step. What is left of it stays a leftover, so the run can "
        "only end FAILED.",
        done="The step is skipped. Roll back or resume goes on with the others.",
    ),
    "abandon": Action(
        title="Abandon",
        does="The run is given up: it ends FAILED, with all that is left of it named.",
        done="The run is abandoned.",
    ),
}


class Offered(Struct, frozen=True, kw_only=True):
    """An action that makes sense as the run stands; of a step, where it is about one."""

    name: str
    step: str = ""

    @property
    def title(self) -> str:
        """For a link."""
        title = ACTIONS[self.name].title
        return f'{title} "{self.step}"' if self.step else title


def offered(view: RunView) -> list[Offered]:
    """Nothing while somebody drives the run."""
    run = view.run
    if view.driven:
        return []
    found = [
        Offered(name=name, step=one.name) for one in run.waiting for name in ("approve", "refuse")
    ]
    found += [Offered(name=way) for way in ways_on(run, interrupted=view.interrupted)]
    if run.direction == "back":
        stuck = (one for one in run.steps.values() if one.undo_failure and not one.how)
        found += [Offered(name="skip", step=one.name) for one in stuck if not one.skipped]
    return [*found, *([Offered(name="abandon")] if view.interrupted else [])]


def form(site: Site, request: Request) -> Response:
    """`/runs/RUN/actions/NAME`, of a step with `?step=`: what it does, and the question why."""
    step = request.query_params.get("step", "")
    return _form(site, request, step, reason="", wrong=None, status=200)


async def take(site: Site, request: Request) -> Response:
    """What the form sends. What is refused is told above it."""
    if int(request.headers.get("content-length", LONGEST + 1)) > LONGEST:
        raise HTTPException(413)
    async with request.form() as sent:
        said = {name: value for name, value in sent.items() if isinstance(value, str)}
    if not site.access.is_csrf(said.get("csrf", ""), request.scope["user"]):
        raise HTTPException(403)
    return await run_in_threadpool(_take, site, request, said)


def _take(site: Site, request: Request, said: Mapping[str, str]) -> Response:
    run, name = request.path_params["run"], request.path_params["name"]
    step, reason = said.get("step", ""), said.get("reason", "").strip()
    try:
        if not reason:
            raise DefinitionError(
                "A reason is needed: it is what the journal keeps of the decision."
            )
        _act(site, request.scope["user"], run, name, step, reason, said.get("digest", ""))
    except AlmaError as error:
        return _form(site, request, step, reason=reason, wrong=error, status=409)
    return RedirectResponse(f"/runs/{quote(run, safe='')}?done={name}", 303)


def _act(site: Site, user: str, run: str, name: str, step: str, reason: str, digest: str) -> None:
    """As the command of that name does it.

    Behind a proxy the journal's actor is this server all the same: `user` stands in the reason.
    """
    settings = Settings(journal=site.where)
    why = f"{user}: {reason}" if user else reason
    if name in ("approve", "refuse"):
        yes = name == "approve"
        answer(run, step, approved=yes, reason=reason, digest=digest, name=user, settings=settings)
    elif name == "skip":
        asyncio.run(intervene.skip(run, step, reason=why, settings=settings))
    elif name == "abandon":
        asyncio.run(intervene.abandon(run, reason=why, settings=settings))
    else:
        _start(site, run, name, why, user)


def _start(site: Site, run: str, name: str, why: str, user: str) -> None:
    with site.open() as journal:
        view = view_run(journal, journal.run(run).run)
        ways = ways_on(view.run, interrupted=view.interrupted)
        if (way := next((one for one in ways if one == name), None)) is None:
            raise DefinitionError(f"Run {run} is {view.state}: there is nothing to {name}.")
        apart.start(journal, site.where, run, way, reason=why, name=user)


def _form(
    site: Site, request: Request, step: str, *, reason: str, wrong: AlmaError | None, status: int
) -> Response:
    name = request.path_params["name"]
    if name not in ACTIONS:
        raise HTTPException(404)
    with site.open() as journal:
        view = view_run(journal, journal.run(request.path_params["run"]).run)
    asked = next((one.approval for one in view.run.waiting if one.name == step), None)
    answer = site.page(
        "action.html",
        status,
        title=Offered(name=name, step=step).title,
        view=view,
        name=name,
        action=ACTIONS[name],
        step=step,
        reason=reason,
        wrong=wrong,
        digest=asked.asked.digest if asked else "",
        plan=approvals.waiting(view.run) if asked else [],
        csrf=site.access.csrf(request.scope["user"]),
    )
    # With `no-referrer` a browser sends a form without the origin that it came from.
    answer.headers["referrer-policy"] = "same-origin"
    return answer
