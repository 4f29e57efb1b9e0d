"""What a proxy does to a request in place of passing it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.services.exchange import Request

Match = str | Callable[[Request], bool] | None


@dataclass
class Fault:
    """Strikes requests that match until its times are used up."""

    name: str
    times: int
    match: Match
    status: int = 0
    """The answer's; 0: there is no answer."""
    code: str = ""
    done: bool = False
    """The service gets the request all the same."""

    def strikes(self, request: Request) -> bool:
        """Tell whether it is this request's turn, and count it."""
        if self.times == 0 or not matches(self.match, request):
            return False
        self.times -= 1
        return True


def matches(match: Match, request: Request) -> bool:
    """Tell whether `request` is meant."""
    if match is None:
        return True
    return match in request.text if isinstance(match, str) else match(request)
