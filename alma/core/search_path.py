"""In which order modules are looked for: Python's own before what stands beside a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping


def python_first(entries: Iterable[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """The search path `entries`, in which nothing takes the place of a module of Python's own.

    Python puts a script's directory in front, so that whoever can write a `traceback.py` there is
    imported by whatever fails. What PYTHONPATH names is somebody's choice, and stays in front.
    """
    chosen = set(filter(None, environ.get("PYTHONPATH", "").split(os.pathsep)))
    own = _own()
    ranked = sorted(entries, key=lambda entry: 0 if entry in chosen else 1 if entry in own else 2)
    return list(dict.fromkeys(ranked))


def _own() -> set[str]:
    home = os.path.dirname(os.__file__)  # noqa: PTH120 - as it stands in sys.path, to the letter
    major, minor, *_ = sys.version_info
    return {home, f"{home}/lib-dynload", f"{os.path.dirname(home)}/python{major}{minor}.zip"}  # noqa: PTH120
