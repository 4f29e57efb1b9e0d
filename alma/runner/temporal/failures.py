"""What becomes of an error in an activity: who tries again, and what ends the workflow.

What has gone wrong with a step is no error here: it is an outcome, and in the journal.

| what is raised | as a run begins, or is taken up | later |
| --- | --- | --- |
| the journal cannot be reached or written just now | again, by any worker | the same |
| the journal is broken, or another's | the run ends: refused, 11 | it stops, half way: 8 |
| the journal is none for this worker (newer, another's file) | refused, 11 | another worker |
| the run is in another journal than this worker's | refused, 6 | another worker |
| this worker does not serve the saga, or has other code of it | another worker | another worker |
| the journal is a file of another host | refused, 11 | refused: it stops, half way |
| another runner has the lease by now | superseded | superseded |
| whatever a local command would end with | refused, with its code | another worker, or the run is
suspended by its turn |
| a bug | refused, 255 | another worker |
| nobody wants it any more, or this worker ends | again | again |

"Again" and "another worker" are without end: `up` can be told to stop meanwhile.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from temporalio.exceptions import ApplicationError

from alma.errors import (
    AlmaError,
    BrokenJournalError,
    JournalError,
    RunNotFoundError,
    StaleEpochError,
    UnavailableJournalError,
    UntrustedJournalError,
)
from alma.runner.settings import Settings
from alma.runner.temporal.asked import keep_words
from alma.runner.temporal.here import OtherCodeError, UnwantedError
from alma.runner.temporal.orders import OTHER_CODE, REFUSED, SUPERSEDED

BUG: Final = 255
"""As `alma-pulumi` ends with."""
_LEFT: Final = "Left"

Say = Callable[[str], None]


@contextmanager
def translated(say: Say, *, beginning: bool = False) -> Iterator[None]:
    """Errors as Temporal has them: their kind, and none of their words, which are said here.

    `beginning`: nothing was done yet that somebody would have to go on with.
    """
    try:
        yield
    except ApplicationError:
        raise
    except UnwantedError:
        raise ApplicationError("", type=_LEFT) from None
    except OtherCodeError as error:
        raise other_code(say, f"{error.message} {error.hint}".strip()) from None
    except StaleEpochError:
        raise ApplicationError("", type=SUPERSEDED, non_retryable=True) from None
    except AlmaError as error:
        words = f"{error.message} {error.hint}".strip()
        if _may_be_tried_again(error, beginning=beginning):
            say(words)
            raise ApplicationError("", type=type(error).__name__) from None
        raise refused(say, words, error.exit_code) from None
    except Exception as error:  # noqa: BLE001 - its words may be anything, and are not Temporal's
        trace = "".join(traceback.format_exception(error)).rstrip()
        if beginning and not isinstance(error, OSError):
            raise refused(say, trace, BUG) from None
        say(trace)
        if beginning and isinstance(error, OSError):  # and a sentence, as `alma-pulumi` has it
            where = f" {error.filename}" if error.filename else ""
            words = f"The system refused:{where} {error.strerror or error}."
            raise refused(say, words, AlmaError.exit_code) from None
        raise ApplicationError("", type=type(error).__name__) from None


def _may_be_tried_again(error: AlmaError, *, beginning: bool) -> bool:
    if isinstance(error, UnavailableJournalError):
        return True
    if isinstance(error, BrokenJournalError | UntrustedJournalError):
        return False
    return isinstance(error, JournalError | RunNotFoundError) and not beginning


def refused(say: Say, words: str, code: int) -> ApplicationError:
    """Nobody is to try again; `code` is what a local command would end with."""
    say(words)
    return ApplicationError("", code, type=REFUSED, non_retryable=True)


def with_words(
    error: ApplicationError, said: Sequence[str], target: str, settings: Settings
) -> ApplicationError:
    """The same, and with a refusal the digest of its words, which the journal keeps if it can."""
    if error.type != REFUSED or BUG in error.details or not said:
        return error
    digests: list[str] = []
    with suppress(AlmaError), settings.open(write=True) as journal:
        digests.append(keep_words(journal, target, said[-1]))
    return ApplicationError("", *error.details, *digests, type=REFUSED, non_retryable=True)


def other_code(say: Say, words: str) -> ApplicationError:
    """Another worker may do it."""
    say(words)
    return ApplicationError("", type=OTHER_CODE)
