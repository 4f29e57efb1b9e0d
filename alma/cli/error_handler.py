"""The edge: every error becomes one sentence, a way out, and an exit code. Nowhere else."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from alma.cli.options import Invocation
from alma.cli.output import say
from alma.errors import AlmaError

USAGE: Final = 2
CANCELLED: Final = 8
BUG: Final = 255


def handle_errors(call: Callable[[], Any], shared: Invocation) -> int:
    """Call it; the exit code. Only here is a catch-all, and it reports a bug of ours."""
    try:
        with _terminate_as_interrupt():
            return int(call() or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _usage(error, shared)
    except AlmaError as error:
        return tell(error.message, error.hint, error.exit_code, shared)
    except (KeyboardInterrupt, click.Abort):
        hint = f"`{shared.command_line('status')}` tells how the last run stands."
        return tell("Interrupted.", hint, CANCELLED, shared)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return tell(f"The system refused:{where} {error.strerror or error}.", "", 1, shared)
    except Exception as error:  # noqa: BLE001 - whatever else comes here is a bug in alma
        return _bug(error, shared)


def tell(message: str, hint: str, code: int, shared: Invocation) -> int:
    """Say what is wrong and the way out, on stderr; with `--json` as a document too."""
    from alma.reports.text import plain

    if shared.json:
        from alma.reports import documents

        shared.print_json(documents.error(message, hint, code))
    say(f"error: {plain(message)}", err=True)
    if hint:
        say(f"hint: {plain(hint)}", err=True)
    return code


def _usage(error: click.ClickException, shared: Invocation) -> int:
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(message, err=True)
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "alma-pulumi"
    return tell(message, f"{path} --help", USAGE, shared)


def _bug(error: Exception, shared: Invocation) -> int:
    import traceback

    if file := _in_the_way():
        message = f"{file} stands in the way of Python's own module {Path(file).stem}."
        return tell(message, "Rename the file.", USAGE, shared)
    trace = "".join(traceback.format_exception(error))
    kept = _keep(trace)
    if shared.debug:
        say(trace, err=True)
    message = f"This is a bug in alma ({type(error).__name__}: {error})."
    return tell(message, f"Please report it with the traceback in {kept}", BUG, shared)


def _in_the_way() -> str:
    """A file beside the saga's that has been imported in the place of the standard library's."""
    own = str(Path(os.__file__).parent)
    for name in sys.stdlib_module_names & sys.modules.keys():
        file = str(getattr(sys.modules[name], "__file__", None) or own)
        if not file.startswith(own) and "-packages" not in file:
            return file
    return ""


def _keep(trace: str) -> str:
    """In the temporary directory: the user's own is not ours to write to. Mode 0600."""
    import tempfile

    try:
        descriptor, path = tempfile.mkstemp(prefix="alma-pulumi-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(trace)
    except OSError:
        return "(it could not be written: call again with --debug)"
    return path


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Until the runner catches them itself, a SIGTERM ends us as Ctrl-C does: in order, with 8."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _AsInterrupt())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _AsInterrupt:
    """A signal handler. A run that goes on is told of the signal itself, and this one is not."""

    until_a_run = True

    def __call__(self, _number: int, _frame: object) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as `nohup` has it
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)
