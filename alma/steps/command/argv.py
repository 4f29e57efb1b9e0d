"""A command as data: its arguments, where its program is, and what can be seen to be wrong."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from alma.core.redaction import Redactor
from alma.core.secret import Secret
from alma.core.validation import is_unicode
from alma.errors import DefinitionError, ToolError
from alma.steps.step import Output

Command = str | Sequence[str | Path | int]
"""A list of arguments; with `shell=True` a text."""

SHELL: Final = "/bin/sh"
OWN: Final = ("ALMA_KEY", "ALMA_IN_DOUBT", "ALMA_OUTPUT", "ALMA_RESULT")
"""Variables that say to a command what alma has to say."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIGHEST: Final = 255


def plain_command(where: str, command: object, *, shell: bool) -> str | list[str]:
    """The command as the journal has it; DefinitionError for what is none."""
    if shell:
        if not isinstance(command, str) or not command.strip():
            raise DefinitionError(
                f"{where} must be a text for the shell, not {command!r}.",
                hint='With shell=True write do="...", without it do=["program", "argument"].',
            )
        return _text(where, command)
    if isinstance(command, str | bytes) or not isinstance(command, Iterable):
        raise DefinitionError(
            f"{where} must be a list of arguments, not {command!r}.",
            hint='Write ["program", "argument"], or a text with shell=True.',
        )
    arguments = [_argument(where, argument) for argument in command]
    if not arguments or not arguments[0]:
        raise DefinitionError(f"{where} names no program.")
    return arguments


def _argument(where: str, argument: object) -> str:
    if isinstance(argument, Secret | Output):
        what = "a secret" if isinstance(argument, Secret) else "an output"
        raise DefinitionError(
            f"{where}: {what} cannot be an argument: everybody sees the arguments of a process.",
            hint='Give it as an input, inputs={"NAME": ...}: it is a variable of the environment.',
        )
    if isinstance(argument, bool) or not isinstance(argument, str | Path | int):
        raise DefinitionError(f"{where}: {argument!r} is no argument, which is a text or a path.")
    return _text(where, str(argument))


def _text(where: str, text: str) -> str:
    if "\0" in text or not is_unicode(text):
        raise DefinitionError(f"{where}: {text!r} cannot be given to a program.")
    return str.__str__(text)


def require_plain(where: str, command: str | list[str], secrets: Iterable[Secret]) -> None:
    """Refuse a command that holds a secret as plain text."""
    redact = Redactor()
    redact.learn(list(secrets))
    if redact.clean(command) != command:
        raise DefinitionError(
            f"{where} holds a secret input: everybody sees the arguments of a process.",
            hint="Let the command read it from its environment, or from stdin.",
        )


def check_variables(where: str, names: Iterable[str]) -> None:
    """Refuse inputs that cannot be variables of an environment."""
    for name in names:
        if name.startswith("ALMA_") or not _VARIABLE.fullmatch(name):
            raise DefinitionError(
                f"{where}: input {name!r} cannot be a variable of a command's environment.",
                hint="Use letters, digits and '_' (ALMA_... are alma's own); or give the inputs "
                'as JSON on stdin: inputs_by="stdin".',
            )


def exit_codes(where: str, given: object) -> tuple[int, ...]:
    """Exit codes that mean something of their own; one may stand for a list of one."""
    codes = [given] if isinstance(given, int) else given
    if not isinstance(codes, Iterable) or isinstance(codes, str):
        raise DefinitionError(f"{where} must be a list of exit codes, not {given!r}.")
    found = tuple(codes)
    for code in found:
        if isinstance(code, bool) or not isinstance(code, int) or not 1 <= code <= _HIGHEST:
            raise DefinitionError(f"{where}: {code!r} is no exit code from 1 to {_HIGHEST}.")
    return found


def find_program(command: str | Sequence[str], work_dir: Path, environ: Mapping[str, str]) -> str:
    """Where the program of a command is; empty where there is none."""
    if isinstance(command, str):
        return SHELL
    program = command[0]
    if os.sep in program:
        path = work_dir / program
        return str(path) if path.is_file() and os.access(path, os.X_OK) else ""
    found = shutil.which(program, path=environ.get("PATH"))
    return str(Path(found).absolute()) if found else ""


def name_of(command: str | Sequence[str]) -> str:
    """What its process is called."""
    return Path(SHELL if isinstance(command, str) else command[0]).name


def require_program(where: str, name: str, found: str) -> None:
    """Raise ToolError for a program that is not there."""
    if found and os.access(found, os.X_OK):
        return
    if found:
        raise ToolError(
            f"{where}: its program {found} is not there any more, or cannot be run.",
            hint="Put it back; or give the saga's file with --target, and it is looked for anew.",
        )
    there = "is no file that can be run" if os.sep in name else "is not on PATH"
    raise ToolError(f"{where}: the program {name} {there}.", hint="Install it, or name its path.")


def as_variable(value: Any) -> str:
    """An input as a variable: a text as it is, everything else as JSON."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
