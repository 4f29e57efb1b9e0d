"""A saga that a worker serves."""

from __future__ import annotations

from msgspec import Struct

from alma.runner.settings import Settings
from alma.saga.target import LoadedSaga


class Served(Struct, frozen=True, kw_only=True):
    """Loaded where the worker was started, with what was said there."""

    loaded: LoadedSaga
    settings: Settings
