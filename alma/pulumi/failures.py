"""What the CLI and its plugins say, translated once into a `Failure`. Imports no pulumi."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from alma.core.events import Failure
from alma.core.redaction import shortened

AUTHENTICATION: Final = (
    r"PULUMI_ACCESS_TOKEN|invalid access token|\[401\] Unauthorized|NoCredentialProviders"
    r"|no EC2 IMDS role found|could not find default credentials"
    r"|this command requires logging in|SAML SSO authentication is required"
)
"""What the CLI prints when a backend refuses, or misses, its credentials; a pattern."""

_GONE: Final = r"NoSuchKey|BlobNotFound|object doesn't exist|no rows in result set|\.pulumi/locks/"
_LOCK_WENT: Final = (
    r'blob \(key "[^"]*\.pulumi/locks/[^"]*"\) \(code=NotFound\)'
    r"|could not list bucket: blob \(code=NotFound\): sql: no rows"
    rf"|(?m:^error: 2 errors occurred:\s+1\) .*({_GONE}).*\s+2\) NotFound$)"
)
"""A lock that is listed and then read (`checkForLock` in `pkg/backend/diy/lock.go` in
pulumi/pulumi), as the CLI tells it: of a bucket, of Postgres, and without the key, as most commands
do; seen in 3.259 and 3.276. A bucket that is not there is told in other words."""

_PATTERNS: Final = (
    (
        "locked",
        r"the stack is currently locked by|Another update is currently in progress|" + _LOCK_WENT,
        "Another process works on this stack, or left its lock: see `alma-pulumi doctor`.",
    ),
    (
        "passphrase",
        r"incorrect passphrase|passphrase must be set with|PASSPHRASE_FILE:",
        "Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the stack's passphrase.",
    ),
    (
        "backend",
        (
            r"unable to open state directory|could not (list|access|open) bucket|problem logging in"
            r"|unable to open bucket|failed to (load|save|read|write) (checkpoint|state|stack)"
            r"|no space left on device|could not deserialize deployment"
            r"|error (loading|saving) stack|blob \(key |" + AUTHENTICATION
        ),
        "Check the state backend (PULUMI_BACKEND_URL) and its credentials.",
    ),
)
"""Kind, what the CLI prints for it, and the way out. The CLI's exit code is 1 for all of them.

Patterns here are compiled when something has failed, and not in every process that starts.
"""

_COLOUR: Final = r"<\{%[^%<]*%\}>|\x1b\[[0-9;]*m"
"""Pulumi's own colour tags (`sdk/go/common/diag/colors`) and the terminal's."""
_BOILERPLATE: Final = (
    r"^(stdout: |getting stack configuration: |get stack secrets manager: "
    r"|an unhandled error occurred: |python inline source runtime error: "
    r"|Exception calling application: |error: |rpc error: code = \w+ desc = "
    r"|Preview failed: "  # in front of a provider's own words, in newer CLIs (seen in 3.276)
    r"|\d+ errors? occurred:\s+(\*|1\)) )+"  # of a resource that was made, and not as it should be
)
_EMPTY_WORDS: Final = r"^(update|destroy|preview|refresh) (failed|canceled)$"
_FRAME: Final = r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<where>.+)$'
_NO_PLUGIN: Final = (
    r"(Could not automatically download and install|no) (resource|language) plugin "
    r"'(?P<name>pulumi-(resource|language)-[\w-]+)'( found in the workspace)?"
    r"( at version (?P<version>v[\w.+-]+))?"
)
_OTHER_PYTHON: Final = (
    r"error reading from server: EOF|No module named|Can't get attribute|cannot import name"
    r"|unknown opcode|bad marshal data|SystemError"
)
"""What a dynamic provider ends with whose code another Python, or another directory, has made."""
_SAME_PYTHON: Final = (
    "Its provider is code of the program. It needs the Python minor version that brought it up, "
    "the packages that it imports, and the directory of the saga's file: go on with these."
)
_NOT_THEIRS: Final = (
    r"[/\\](site-packages|dist-packages|asyncio|concurrent|alma[/\\]pulumi)[/\\]|threading\.py$|^<"
)
_FIRST_LINES: Final = 12
"""Lines of a provider's message that are kept: some print a whole HTTP exchange."""


def translate(
    text: str,
    errors: Sequence[tuple[str, str]],
    *,
    interrupted: bool,
    log: str,
    exit_code: int | None = None,
    ran_program: bool = True,
) -> Failure:
    """The failure that the CLI's last output and the error diagnostics (URN, message) describe.

    `exit_code` is negative for a CLI that was killed by that signal. Without a program, what no
    resource is to blame for is `unknown`.
    """
    if exit_code is not None and exit_code < 0 and not interrupted:
        return Failure(
            kind="unknown",
            message=f"The Pulumi CLI was killed by signal {-exit_code}.",
            hint="What it was doing then is a pending operation in the stack's state.",
            log=log,
        )
    for kind, pattern, hint in _PATTERNS:
        found = re.search(pattern, text)
        if found is not None:
            message = _clean(_around(text, found.start()))
            return Failure(kind=kind, message=message, hint=hint, log=log)
    told = _worth_telling(errors)
    if interrupted:
        return Failure(
            kind="cancelled",
            message="The operation was interrupted before it was finished.",
            hint="What it had begun is recorded in the stack's state.",
            log=log,
        )
    from_provider = [(urn, message) for urn, message in told if urn and not _is_of_the_stack(urn)]
    if from_provider:
        urn, message = from_provider[0]
        more = len(from_provider) - 1
        failure = Failure(
            kind="provider",
            message=message + (f" (and {more} more)" if more else ""),
            urn=urn,
            log=log,
        )
        return _with_what_is_missing(failure)
    if told:
        failure = Failure(
            kind="program" if ran_program else "unknown",
            message=told[0][1],
            hint="Mend the program; the log has the whole traceback." if ran_program else "",
            log=log,
        )
        return _with_what_is_missing(failure)
    last = [line for line in text.splitlines() if line.lstrip().startswith("error:")]
    said = _clean(_around(text, text.rfind(last[-1]))) if last else ""
    return Failure(
        kind="unknown",
        message=said or "The Pulumi CLI failed without saying why.",
        hint="The log has all that it said.",
        log=log,
    )


def lock_went(said: str) -> bool:
    """Whether the CLI failed for a lock of somebody's that went as it was looked at.

    Nothing was begun then, and the same command does not fail again for it.
    """
    return re.search(_LOCK_WENT, said) is not None


def _with_what_is_missing(failure: Failure) -> Failure:
    """Of a plugin that is not there, or not what it was, that first, and how to get it."""
    found = re.search(_NO_PLUGIN, failure.message)
    if found is not None:
        kind, name = found["name"].removeprefix("pulumi-").split("-", 1)
        version = found["version"] or ""
        cause = failure.message[found.end() :].partition("`: ")[2]
        message = f"the plugin {found['name']} {version}".rstrip() + " is missing"
        message += f", and could not be downloaded: {cause}" if cause else ""
        hint = f"Install it: `{f'pulumi plugin install {kind} {name} {version}'.rstrip()}`"
        return replace(failure, message=message, hint=hint)
    if "pulumi-python:" in failure.urn and re.search(_OTHER_PYTHON, failure.message):
        return replace(failure, hint=_SAME_PYTHON)
    return failure


def _is_of_the_stack(urn: str) -> bool:
    """Whether it is the stack's own, by its type: a name may say anything."""
    return urn.split("::", 3)[2:3] == ["pulumi:pulumi:Stack"]


def readable(message: str) -> str:
    """A diagnostic for people: no colours, no boilerplate, a traceback reduced to its point.

    It may come from anybody, and be of any length: each pattern reads it once.
    """
    message = re.sub(_COLOUR, "", message).strip()
    head, marker, trace = message.partition("Traceback (most recent call last):")
    if not marker:
        return _clean(message)
    return shortened(condense(trace)) or _clean(head)


def condense(trace: str) -> str:
    """`ValueError: broken (stacks.py:16 in program)` from a traceback's lines."""
    place = ""
    said: list[str] = []
    for line in trace.strip("\n").splitlines():
        frame = re.match(_FRAME, line)
        if frame is not None and not re.search(_NOT_THEIRS, frame["file"]):
            name = re.split(r"[/\\]", frame["file"])[-1]
            place = f" ({name}:{frame['line']} in {frame['where']})"
        if line.startswith(("Traceback ", "During handling", "The above exception")):
            said = []
        elif line and not line.startswith(" "):
            said.append(line)
    return "\n".join(said).strip() + place if said else ""


def _worth_telling(errors: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    told = {(urn, readable(raw)): None for urn, raw in errors}
    return [
        (urn, message) for urn, message in told if message and not re.match(_EMPTY_WORDS, message)
    ]


def _clean(message: str) -> str:
    message = re.sub(_BOILERPLATE, "", re.sub(_COLOUR, "", message).strip())
    return shortened("\n".join(message.splitlines()[:_FIRST_LINES]).strip())


def _around(text: str, position: int) -> str:
    """The paragraph from this line on: a lock's message names its holder in the next line."""
    start = text.rfind("\n", 0, position) + 1
    lines = text[start:].splitlines()
    return "\n".join([lines[0], *(line for line in lines[1:4] if line.startswith("  "))])
