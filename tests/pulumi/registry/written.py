"""A program of the sagas beside this file, as who runs them gets it: with its modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from alma.saga.target import load_saga


def written(provider: str, step: str) -> tuple[Callable[[], Any], tuple[ModuleType, ...]]:
    """The program of that step, and what is to be sent by value with it."""
    loaded = load_saga(str(Path(__file__).with_name(f"on_{provider}.py")))
    (program,) = (one.program for one in loaded.saga.steps if one.name == step)
    return program, loaded.modules
