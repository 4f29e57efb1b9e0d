"""Every error that alma raises on purpose: what was done, to what, why it failed, the way out.

`exit_code` is what `alma-pulumi` ends with. The numbers extend Pulumi's own contract
(1 unclassified, 2 usage or configuration, 3 authentication, 6 not found, 8 cancelled,
255 internal) by 4, 10 and 11; see docs/cli.md.
"""

from __future__ import annotations


class AlmaError(Exception):
    """The base of alma's errors.

    `message` is one sentence that names what and where; `hint` is the way out, or empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class DefinitionError(AlmaError):
    """The saga, or what was asked of it, is not valid. Nothing was started or written."""

    exit_code = 2


class ToolError(AlmaError):
    """The Pulumi CLI is missing, too old or does not run."""

    exit_code = 2


class AuthenticationError(AlmaError):
    """A passphrase or the credentials for the state backend were refused."""

    exit_code = 3


class BackendError(AlmaError):
    """The state backend cannot be reached or read."""


class UnwritableError(BackendError):
    """The state backend takes no writes. Nothing was started or written."""

    exit_code = 2


class UnreachableError(AlmaError):
    """A service that the saga's steps go to does not answer. Nothing was started or written."""


class RunNotFoundError(AlmaError):
    """No run has that id, or the prefix fits several."""

    exit_code = 6


class RefusedError(AlmaError):
    """Refused with no side effect: another runner holds it, or the journal cannot be trusted."""

    exit_code = 11


class RunnerBusyError(RefusedError):
    """Another live runner holds the lease of this target: `saga/stack`, where that is told."""

    target = ""


class StaleEpochError(RefusedError):
    """This runner's lease was taken over: it may not append any more."""


class JournalError(RefusedError):
    """The journal cannot be opened, read, trusted or written."""


class SeqTakenError(JournalError):
    """Somebody else has written into the run: the next event's place is another one."""


class UntrustedJournalError(JournalError):
    """Somebody else may have written into the journal: what it says is not acted on."""


class BrokenJournalError(JournalError):
    """What the journal holds is not what was written: nobody goes by it, and no trying mends it."""


class UnavailableJournalError(JournalError):
    """The journal cannot be reached or written just now: that may pass, or not be so elsewhere."""
