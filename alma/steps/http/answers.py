"""What an answer to a step's request means, in words."""

from __future__ import annotations

from alma.core.drift import Drift, ResourceDrift
from alma.core.events import Failure
from alma.core.operation import Context
from alma.core.redaction import Redactor
from alma.steps.http.client import Answer, UnansweredError, shown
from alma.steps.http.request import Request


def is_undone(request: Request, answer: Answer) -> bool:
    """An undo has done it, or there was nothing to undo."""
    return answer.shows(request.expect) or (answer.gone and request.expect is None)


def is_gone(request: Request, answer: Answer) -> bool:
    """A check has not found it."""
    return answer.gone if request.expect is None else answer.shows(request.expect)


def told(request: Request, context: Context) -> str:
    """Method and URL, without a secret that stands in its path."""
    redact = Redactor()
    redact.learn([context.inputs, context.result])
    return redact(shown(request))


def answered(request: Request, answer: Answer) -> Failure:
    """The answer was none that was expected."""
    words = f"{shown(request)} was answered {answer.status}"
    if answer.ok and answer.page:
        words += " with a web page, as a login or a proxy answers"
    elif answer.ok and answer.problem:
        words += f", and what came with it cannot be taken: {answer.problem}"
    elif answer.ok:
        words += ", which is not what was expected"
    said = answer.body if isinstance(answer.body, dict) else {}
    told = next((said[key] for key in ("detail", "message", "error", "title") if said.get(key)), "")
    kind = "refused" if answer.refused else "provider"
    return Failure(
        kind=kind, message=f"{words}: {told}" if isinstance(told, str) and told else words
    )


def unanswered(request: Request, error: UnansweredError) -> Failure:
    """No answer came."""
    kind = "timeout" if "within" in str(error) else "provider"
    return Failure(kind=kind, message=f"{shown(request)}: {error}")


def still_there(request: Request, seen: Answer) -> Failure:
    """The check after an undo has found it."""
    words = f"{shown(request)} was answered {seen.status} after the undo: it is still there"
    return Failure(kind="unverified", message=words)


def seen_there(request: Request, seen: Answer, name: str) -> Drift:
    """Whether what a check asks for is still there; what it does not say is not known."""
    if is_gone(request, seen):
        why = f"it is not there: {shown(request)} was answered {seen.status}"
        return Drift(resources=(ResourceDrift(urn=name, op="delete", why=why),))
    if seen.ok and not seen.page and not seen.problem:
        return Drift()
    return Drift(failure=answered(request, seen))
