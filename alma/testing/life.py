"""The life of one runner, which all of its fakes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn


class Crash(BaseException):
    """The runner's process died at this point."""


@dataclass
class Life:
    """Ends once. From then on nothing that shares it has an effect: each call raises Crash.

    Without it a runner that "dies" in one step would go on in its other steps for a moment.
    """

    over: bool = False

    def end(self) -> NoReturn:
        """The process dies here."""
        self.over = True
        raise Crash

    def check(self) -> None:
        """Crash, if it is over."""
        if self.over:
            raise Crash
