"""What a command has written to the file that ALMA_OUTPUT names: JSON, or key=value lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from alma.core.validation import NotJsonError, check_json
from alma.system.files import open_own

_LARGEST: Final = 16 * 1024 * 1024
"""Bytes that are read: what is larger belongs into a file whose name is the output."""


class NoOutputsError(Exception):
    """The file holds something else; the message says what is wrong with it."""


def read_outputs(path: Path) -> dict[str, Any]:
    """The outputs; none where the file is empty, or not there any more."""
    try:
        if not path.is_file():
            return {}
        with open_own(path) as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                raise NoOutputsError(f"it is larger than {_LARGEST} bytes")
            text = file.read(_LARGEST).decode()
    except UnicodeDecodeError as error:
        raise NoOutputsError("it is no UTF-8") from error
    except OSError as error:
        raise NoOutputsError(f"it cannot be read ({error.strerror})") from error
    return _object(text) if text.lstrip().startswith("{") else _lines(text)


def _object(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = check_json(json.loads(text), "it")
    except NotJsonError as error:
        raise NoOutputsError(str(error)) from error
    except RecursionError as error:
        raise NoOutputsError("it is nested too deeply") from error
    except ValueError as error:
        # Not what it says: that may have a part of the text in it.
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise NoOutputsError(f"it begins as JSON and is none{place}") from error
    return found


def _lines(text: str) -> dict[str, Any]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, mark, value = line.partition("=")
        if not mark or not key.strip():
            raise NoOutputsError(f"line {number} is no key=value")
        found[key.strip()] = value
    return found
