"""A step that is a request: sent with a key that stays the same, undone by another request."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from alma.core.drift import Drift
from alma.core.events import IN_DOUBT, Failure, Leftover, ResourceChange
from alma.core.operation import Context, Operation, Reconciled
from alma.core.redaction import Redactor, mark_secrets
from alma.core.run import OpenOperation, StepStatus
from alma.core.secret import Secret, secrets_in
from alma.core.validation import is_whole
from alma.errors import AlmaError
from alma.steps.base import (
    Compensated,
    Outcome,
    Retained,
    StepContext,
    StepHandler,
    StepPreview,
)
from alma.steps.callables import takes_context
from alma.steps.http.answers import (
    answered,
    is_gone,
    is_undone,
    seen_there,
    still_there,
    told,
    unanswered,
)
from alma.steps.http.client import Answer, UnansweredError, require, send, shown
from alma.steps.http.filling import UnfilledError, fill
from alma.steps.http.request import Asked, Request

_NOTHING: Final = {"request": "it was refused, or never arrived"}


class _NoRequestError(Exception):
    """A callable did not give a request; `failure` says why."""

    def __init__(self, failure: Failure, cause: BaseException | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.cause = cause


@dataclass(kw_only=True)
class HttpHandler(StepHandler):
    """`do` is None when only the undo can be needed. `longest` bounds what Retry-After asks for."""

    name: str
    do: Asked | None = None
    undone_by: Asked | Literal["none"] | None = None
    check: Asked | None = None
    before: Asked | None = None
    """The step's `existed`."""
    origin: str = ""
    """Where `do` goes, as written: an undo whose host is an output must go there as well."""
    secret_outputs: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    longest: float = 60.0
    digest: str = ""
    lacks: str = ""
    _not_before: float = 0.0

    @property
    def compensation(self) -> Any:
        """What undoes it, as far as it is at hand."""
        return self.undone_by

    async def require(self) -> None:
        """httpx is here."""
        require()

    async def existed(self, call: StepContext) -> tuple[str, ...]:
        """Whether it is there already, as the API says."""
        if self.before is None:
            return ()
        context, request = call.context("existed", await call.inputs()), None
        redact = Redactor()
        try:
            request = await self._request(self.before, context, {}, redact)
            answer = await send(request, context.key, call.status.definition.timeout)
        except _NoRequestError as error:
            words = redact(error.failure.message)
            raise AlmaError(f"existed= cannot be asked: {words}") from error
        except UnansweredError as error:
            assert request is not None  # noqa: S101 - it was sent
            words = redact(f"{shown(request)}: {error}")
            raise AlmaError(f"existed= was not answered: {words}") from error
        if answer.gone and request.expect is None:
            return ()
        if answer.shows(request.expect):
            return (hashlib.sha256(request.url.encode()).hexdigest(),)
        if request.expect is not None and (answer.ok or answer.gone):
            return ()
        words = redact(answered(request, answer).message)
        raise AlmaError(f"existed= cannot tell what is there: {words}")

    async def execute(self, call: StepContext) -> None:
        """Send the request; what the answer says are the outputs."""
        await call.perform("action", self._acting(call))

    async def compensate(self, call: StepContext) -> Compensated | Retained | None:
        """Send the undo; gone already is a success. Then ask whether it is gone, if one can."""
        undo, status = self.undone_by, call.status
        if undo == "none":
            return Compensated(how="nothing", evidence={"compensation": "there is nothing to undo"})
        if call.kind == "up" and status.started and status.started.existed:
            if _had_no_effect(status):
                return Compensated(how="nothing", evidence=_NOTHING)
            reason = "it was there before this run (existed= has seen it): left, as it is now"
            return Retained(reason=reason, leftovers=self._leftover(reason, status.outputs))
        if undo is None:
            if call.kind == "destroy":
                return Compensated(how="nothing", evidence={"compensation": "none"})
            reason = "the step has no undo"
            return Retained(reason=reason, leftovers=self._leftover(reason))
        if call.kind == "up" and _had_no_effect(status):
            return Compensated(how="nothing", evidence=_NOTHING)
        known = call.context("compensation", {}).result
        if call.kind == "destroy" and not known and _needs_outputs(undo):
            return Compensated(how="unchanged", evidence={"journal": "no run of it has left it up"})
        outcome = await call.perform("compensation", self._undoing(call, undo))
        if outcome.failure is not None:
            return None
        return Compensated(how="called", evidence=outcome.evidence)

    async def leftovers(self, status: StepStatus, reason: str) -> tuple[Leftover, ...]:
        """Whatever the request made, as far as alma can know."""
        if self.undone_by == "none" or _had_no_effect(status):
            return ()
        return status.leftovers or self._leftover(reason, status.outputs)

    async def preview(self, inputs: Mapping[str, Any] | None) -> StepPreview:  # noqa: ARG002
        """A request is sent, and that is all that can be said."""
        what = f"send {_pattern(self.do)}"
        if self.undone_by == "none":
            return StepPreview(what=what, undo="nothing to undo", undoable=True, way="nothing")
        if self.undone_by is None:
            return StepPreview(what=what, undo="nothing: it has no undo", undoable=False)
        seen = f", then {_pattern(self.check)} must find nothing" if self.check else ""
        return StepPreview(what=what, undo=f"send {_pattern(self.undone_by)}{seen}", undoable=True)

    async def deviations(self, call: StepContext, operation: Operation) -> Drift | None:
        """Whether its `check` still finds it."""
        if self.check is None:
            return None
        # As of the undo: what that has seen to be gone is what is to be there.
        context = call.context("compensation", await call.inputs())
        request = None
        try:
            request = await self._request(self.check, context, context.result, operation.redact)
            seen = await self._send(request, f"{context.key}-drift", operation)
        except _NoRequestError as error:
            return Drift(failure=error.failure)
        except UnansweredError as error:
            assert request is not None  # noqa: S101 - it was sent
            return Drift(failure=unanswered(request, error))
        return seen_there(request, seen, told(request, context))

    async def reconcile(self, operation: OpenOperation) -> Reconciled:  # noqa: ARG002 - one Protocol
        """The request ended with the process that sent it."""
        return Reconciled(
            found="the process that sent it is gone; it is repeated with the same key"
        )

    # -- the two kinds of work ---------------------------------------------------------------

    def _acting(self, call: StepContext) -> Callable[[Operation], Any]:
        async def work(operation: Operation) -> Outcome:
            asked = self.do
            assert asked is not None  # noqa: S101 - launch refuses a run that lacks it
            context = call.context("action", await call.inputs())
            try:
                request = await self._request(asked, context, {}, operation.redact)
                answer = await self._send(request, context.key, operation)
            except _NoRequestError as error:
                return Outcome(failure=error.failure, cause=error.cause)
            except UnansweredError as error:
                doubt = _doubt(request, context) if error.arrived else ()
                return Outcome(failure=unanswered(request, error), resources=doubt)
            if answer.shows(request.expect) and not answer.problem:
                given = [request.json, request.headers, request.params, context.inputs]
                return Outcome(outputs=mark_secrets(self._outputs(answer), secrets_in(given)))
            doubt = () if answer.without_effect else _doubt(request, context)
            return Outcome(failure=answered(request, answer), resources=doubt)

        return work

    def _undoing(self, call: StepContext, undo: Asked) -> Callable[[Operation], Any]:
        async def work(operation: Operation) -> Outcome:
            context = call.context("compensation", await call.inputs())
            request, left, redact = None, self._leftover, operation.redact
            try:
                request = await self._request(undo, context, context.result, redact)
                answer = await self._send(request, context.key, operation)
                evidence: dict[str, Any] = {
                    "request": told(request, context),
                    "status": answer.status,
                }
                failure = None if is_undone(request, answer) else answered(request, answer)
                if failure is None and self.check is not None:
                    request = await self._request(self.check, context, context.result, redact)
                    seen = await self._send(request, f"{context.key}-check", operation)
                    evidence["check"] = seen.status
                    failure = None if is_gone(request, seen) else still_there(request, seen)
            except _NoRequestError as error:
                reason = f"it may have taken effect: {error.failure.message}"
                return Outcome(
                    failure=error.failure,
                    cause=error.cause,
                    leftovers=left(reason, context.result),
                )
            except UnansweredError as error:
                assert request is not None  # noqa: S101 - it was sent
                failure, evidence = unanswered(request, error), {}
            if failure is None:
                return Outcome(evidence=evidence)
            return Outcome(
                failure=failure,
                evidence=evidence,
                leftovers=left(failure.message, context.result),
            )

        return work

    # -- parts -------------------------------------------------------------------------------

    async def _request(
        self, asked: Asked, context: Context, outputs: Mapping[str, Any], redact: Redactor
    ) -> Request:
        if not isinstance(asked, Request):
            asked = await _called(asked, context)
        try:
            values = {"inputs": context.inputs, "outputs": outputs}
            filled = fill(asked, values, self.origin)
            # A callable's request too: what a service says of it is without its secrets.
            redact.learn([filled.json, filled.headers, filled.params, filled.expect])
            return filled
        except UnfilledError as error:
            # Nothing that another attempt could mend.
            words = f"{asked.method} {asked.url} needs {error}, and that is not known"
            if error.refused:
                words = f"{asked.method} {asked.url} is not sent: {error}"
            raise _NoRequestError(Failure(kind="pending", message=words)) from error

    async def _send(self, request: Request, key: str, operation: Operation) -> Answer:
        pause = self._not_before - time.monotonic()
        if pause > 0:
            try:
                await asyncio.wait_for(operation.interrupt.wait(), pause)
            except TimeoutError:
                pass
            else:
                raise _NoRequestError(Failure(kind="cancelled", message="it was interrupted"))
        answer = await send(request, key, operation.timeout)
        if not answer.ok and answer.wait:
            self._not_before = time.monotonic() + min(answer.wait, self.longest)
        return answer

    def _outputs(self, answer: Answer) -> dict[str, Any]:
        if answer.body is None:
            return {}
        found = answer.body if isinstance(answer.body, dict) else {"result": answer.body}
        return {
            key: Secret(value) if key in self.secret_outputs else value
            for key, value in found.items()
        }

    def _leftover(
        self, reason: str, outputs: Mapping[str, Any] | None = None
    ) -> tuple[Leftover, ...]:
        id_ = (outputs or {}).get("id", "")
        known = isinstance(id_, str | int) and is_whole(id_)
        return (Leftover(step=self.name, id=str(id_) if known else "", reason=reason),)


async def _called(function: Callable[..., Any], context: Context) -> Request:
    """The request that a callable makes; a plain one is called in a thread."""
    arguments = (context,) if takes_context(function, "The function") else ()
    try:
        if inspect.iscoroutinefunction(function):
            made = await function(*arguments)
        else:
            made = await asyncio.to_thread(function, *arguments)
    except (Exception, SystemExit) as error:
        failure = Outcome.raised(error).failure
        assert failure is not None  # noqa: S101 - it was raised
        raise _NoRequestError(failure, error) from error
    if not isinstance(made, Request):
        words = f"it must return a Request, and returned {type(made).__name__}"
        raise _NoRequestError(Failure(kind="action", message=words))
    return made


def _had_no_effect(status: StepStatus) -> bool:
    """Every attempt was refused, or never arrived; and none went on unseen."""
    doubtful = any(change.op == IN_DOUBT for change in status.resources)
    failed = status.failure is not None and not status.acted
    return failed and not status.unobserved and not doubtful


def _needs_outputs(asked: Asked) -> bool:
    return isinstance(asked, Request) and any(kind == "outputs" for kind, _ in asked.references())


def _doubt(request: Request, context: Context) -> tuple[ResourceChange, ...]:
    return (ResourceChange(urn=told(request, context), op=IN_DOUBT),)


def _pattern(asked: object) -> str:
    if isinstance(asked, Request):
        return f"{asked.method} {asked.url.partition('?')[0]}"
    return f"what {getattr(asked, '__name__', 'its function')} says"
