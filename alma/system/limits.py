"""What a process of alma's keeps to itself: its memory holds secrets."""

from __future__ import annotations

import resource


def dump_no_core() -> None:
    """Have neither this process nor what it starts leave its memory in a file when it crashes.

    Whoever it starts may raise the limit again: a service may want its dumps.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
