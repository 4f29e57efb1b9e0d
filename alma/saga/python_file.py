"""Executing a saga's file as a module, without the run that it may start itself.

The module is never `__main__`. A script that runs its saga at top level can be loaded all the
same: while a file is being loaded, a run is not started but its saga handed over
(`capture_if_loading`, called by `alma.runner.start`), and the rest of the file is skipped.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import stat
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from alma.core.redaction import Redactor
from alma.core.search_path import python_first
from alma.errors import AlmaError, DefinitionError
from alma.saga.arguments import place_of
from alma.saga.packages import module_hint
from alma.saga.saga import Saga
from alma.steps.step import SAGA_FILE

DEFAULT: Final = "saga.py"
"""The TARGET where none is given."""

_LONGEST: Final = 300
"""Characters of a foreign error's message: a sentence, not a page."""

_NO_PARENT: Final = "no known parent package"
"""Python's own words of a relative import in what is no module of a package."""

_handed: ContextVar[list[Saga] | None] = ContextVar("alma_handed", default=None)


class SagaCaptured(BaseException):
    """Out of the file that is being loaded; no `except Exception` in it may stop that."""


def capture_if_loading(saga: Saga) -> None:
    """Called where a run would start: while a file is being loaded, do not start one."""
    handed = _handed.get()
    if handed is not None:
        handed.append(saga)
        raise SagaCaptured


def call_for_saga(
    where: str, function: Callable[..., Any], call: Callable[[], Any], redact: Redactor
) -> Saga:
    """The saga that `call` of a function returns, or that it would run itself.

    DefinitionError, without secrets, for what it raises.
    """
    handed: list[Saga] = []
    token = _handed.set(handed)
    try:
        made = call()
    except SagaCaptured:
        return handed[0]
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        code = getattr(inspect.unwrap(function), "__code__", None)
        told = _told(where, Path(code.co_filename if code else ""), error)
        raise DefinitionError(redact(told.message), hint=redact(told.hint)) from error
    finally:
        _handed.reset(token)
    if not isinstance(made, Saga):
        raise DefinitionError(
            f"{where} returned {'nothing' if made is None else f'a {type(made).__name__}'}, "
            "no Saga.",
            hint="A function that is to be run makes a Saga and returns it.",
        )
    return made


def load_file(where: str) -> tuple[ModuleType, Saga | None]:
    """The file as a module, and the saga that it would have run itself, or None."""
    path = place_of(where)
    # No importable name: in a worker nothing can import, and so run, this file a second time.
    name = SAGA_FILE + re.sub(r"\W", "_", path.stem)
    code = _compile(where, path)
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None  # noqa: S101 - with a loader given it always is one
    return _execute(where, path, spec, code, search=path.parent)


def load_module(where: str) -> tuple[ModuleType, Saga | None]:
    """A module that Python finds from the working directory; as `load_file`."""
    if where in sys.modules:
        return sys.modules[where], None
    _search(Path.cwd())
    try:
        spec = importlib.util.find_spec(where)
    except (Exception, SystemExit) as error:
        raise DefinitionError(f"The module {where} cannot be found: {_words(error)}.") from error
    path = Path(spec.origin or "") if spec is not None else Path()
    if spec is None or path.suffix != ".py":
        raise DefinitionError(
            f"There is no file and no Python module {where!r} here ({Path.cwd()}).",
            hint="Give the saga's file (path/to/saga.py), or module:name.",
        )
    return _execute(where, path, spec, _compile(where, path), search=Path.cwd())


def _compile(where: str, path: Path) -> CodeType:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DefinitionError(
                f"{where} is a directory.", hint=f"Give the file: {path.name}/saga.py"
            )
        if not stat.S_ISREG(mode):
            raise DefinitionError(f"{where} is not a regular file.")
        source = path.read_bytes()
    except FileNotFoundError as error:
        raise DefinitionError(
            f"There is no file {where} in {Path.cwd()}."
            if where == DEFAULT
            else f"There is no file {where}.",
            hint="Give the saga's file (path/to/saga.py), or module:name.",
        ) from error
    except (OSError, ValueError) as error:
        raise DefinitionError(f"{where} cannot be read: {_words(error)}.") from error
    try:
        return compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise DefinitionError(f"{where}{line}: {error.msg}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DefinitionError(f"{where} is no Python file: {_words(error)}.") from error


def _execute(
    where: str, path: Path, spec: ModuleSpec, code: CodeType, search: Path
) -> tuple[ModuleType, Saga | None]:
    """Run the module's code; the saga is the one that it would have run itself, or None."""
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    _search(search)
    sys.modules[spec.name] = module
    handed: list[Saga] = []
    token = _handed.set(handed)
    try:
        exec(code, module.__dict__)  # noqa: S102 - to run the user's file is what was asked for
    except SagaCaptured:
        pass
    except BaseException as error:
        sys.modules.pop(spec.name, None)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _told(where, path, error) from error
    finally:
        _handed.reset(token)
    return module, handed[0] if handed else None


def _search(directory: Path) -> None:
    """Let the file import its neighbours, as a script can, though none in place of Python's own."""
    sys.path[:] = python_first([str(directory), *sys.path])


def _told(where: str, path: Path, error: BaseException) -> DefinitionError:
    """What went wrong in the file, and in which line of it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    at = f"{where}, line {lines[-1]}" if lines else where
    if isinstance(error, AlmaError):
        return DefinitionError(f"{at}: {error.message}", hint=error.hint)
    if isinstance(error, SystemExit):
        return DefinitionError(f"{at}: it ended by itself (sys.exit) while it was loaded.")
    if isinstance(error, ImportError) and _NO_PARENT in str(error):
        hint = module_hint(path, path.read_text("utf-8", "replace")) if path.exists() else ""
        if hint:
            words = "its relative imports need a package, and a file alone is in none"
            return DefinitionError(f"{at}: {words}.", hint=hint)
    elsewhere = ""
    if frames and frames[-1].filename != str(path) and lines and not _is_library(frames[-1]):
        elsewhere = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
    return DefinitionError(f"{at}: {_words(error)}{elsewhere}.")


def _is_library(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(("<", sys.base_prefix)) or "site-packages" in frame.filename


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    words = " ".join(str(error).split()).rstrip(".")
    if len(words) > _LONGEST:
        words = f"{words[:_LONGEST]}…"
    kind = type(error).__name__
    return f"{kind}: {words}" if words else kind
