"""A, with the time that it spends in the journal: prints the share of the run, in percent.

With `waited` only what something waits for: a CLI's process is noted while that CLI is at work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from stage import stage

from alma import Saga
from alma.journal import Journal
from alma.journal.sqlite.store import SqliteStore

spent = {"all": 0.0, "waited": 0.0}


def timed(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **options)
        finally:
            seconds = time.perf_counter() - began
            spent["all"] += seconds
            if not notes_a_cli(arguments):
                spent["waited"] += seconds

    return call


def notes_a_cli(arguments: tuple[Any, ...]) -> bool:
    drafts = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], list) else ()
    return bool(drafts) and getattr(drafts[-1].event, "role", "") == "cli"


for name in ("create_run", "append", "commit", "acquire", "events", "runs", "close"):
    setattr(Journal, name, timed(getattr(Journal, name)))
SqliteStore.__init__ = timed(SqliteStore.__init__)  # type: ignore[method-assign]

# A journal is made once; a run that does so pays for it with a twentieth of a second.
first = Saga("first")
first.add_step("first", action=print, compensation="none")
first.run()
spent = dict.fromkeys(spent, 0.0)

saga = Saga("chain", stack="dev")
step = None
for number in range(1, int(sys.argv[1]) + 1):
    inputs = {"upstream": step.output("value")} if step else {}
    step = saga.add_stack(f"s{number}", program=stage, inputs=inputs)
began = time.perf_counter()
saga.run()
what = "waited" if "waited" in sys.argv else "all"
print(100 * spent[what] / (time.perf_counter() - began))
