"""A connection to a Postgres server that is not waited for without end.

libpq bounds how long connecting takes, and the system notices a network that is dead. Neither sees
a server, or something on the way to it, that acknowledges all that it is sent and says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg

T = TypeVar("T")

ANSWER_SECONDS: Final = 30.0
"""How long a server may say nothing in the middle of a statement."""


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """Closed, with an OperationalError, once its server has been silent for `answer_seconds`."""

    answer_seconds = ANSWER_SECONDS

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        """See psycopg: it is called for every exchange with the server."""
        return super().wait(self._answered(gen), *arguments, **options)

    def _answered(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Like `gen`, which is sent nothing (0) each time that a moment has passed in silence."""
        try:
            wanted, heard = next(gen), time.monotonic()
            while True:
                if ready := (yield wanted):
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.answer_seconds:
                    self.close()  # what it still does for us, who opens another one finds out
                    raise psycopg.OperationalError(
                        f"the server has not answered for {self.answer_seconds:g} s"
                    )
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result
