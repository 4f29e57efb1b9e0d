"""A program of the sagas beside this file, as who runs them gets it: with its modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from alma.saga.target import load_saga

if TYPE_CHECKING:
    import pytest


def written(
    provider: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Callable[[], Any], tuple[ModuleType, ...]]:
    """The program of that step, and what is to be sent by value with it."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # it is loaded with its directory on the path
    loaded = load_saga(str(Path(__file__).with_name(f"on_{provider}.py")))
    (program,) = (one.program for one in loaded.saga.steps if one.name == step)
    return program, loaded.modules
