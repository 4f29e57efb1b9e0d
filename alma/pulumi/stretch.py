"""A passphrase stretched by scrypt, by which one that is known to be right is known again.

It may begin before what runs the saga is loaded, on another processor: so little is imported here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from alma.errors import AlmaError
from alma.pulumi.backend import Backend
from alma.pulumi.checkpoint import passphrase_salt
from alma.pulumi.engine import StackRef

_COST: Final = {"n": 2**12, "r": 8, "p": 8, "maxmem": 2**24}
"""scrypt's parameters (RFC 7914): a tenth of a second a guess, which is no less than the salt in
the state costs whoever has that; in 4 MiB, where as much at once would double a small runner."""

_Stretched = tuple[str, str, str]
"""Passphrase, salt, and what became of them."""

_ahead: list[Future[_Stretched | None]] = []
"""At most one: what is under way for the check of this process's run."""


def salted(backend: Backend, refs: Sequence[StackRef]) -> tuple[StackRef, str] | None:
    """The first of these stacks that has secrets under a passphrase of the user's, and its salt."""
    if backend.root is None or backend.own_passphrase is not None:
        return None
    salts = ((ref, passphrase_salt(backend.root, ref)) for ref in refs)
    return next((found for found in salts if found[1]), None)


def begin(refs: Sequence[StackRef]) -> None:
    """Begin what a check under this process's environment will need.

    The state is read there, too: it may be large.
    """
    _ahead[:] = [ThreadPoolExecutor(1).submit(_begun, Path.cwd(), refs)]


def _begun(cwd: Path, refs: Sequence[StackRef]) -> _Stretched | None:
    with suppress(AlmaError, OSError):  # The check itself finds what is wrong.
        backend = Backend.choose(cwd, os.environ)
        if (found := salted(backend, refs)) is not None:
            passphrase, salt = backend.passphrase(os.environ), found[1]
            return passphrase, salt, _scrypt(passphrase, salt)
    return None


def stretched(passphrase: str, salt: str) -> str:
    """The passphrase with the salt, in hexadecimal; what has begun is waited for. Blocks."""
    known = _ahead.pop().result() if _ahead else None
    if known is not None and known[:2] == (passphrase, salt):
        return known[2]
    return _scrypt(passphrase, salt)


def _scrypt(passphrase: str, salt: str) -> str:
    return hashlib.scrypt(passphrase.encode(), salt=salt.encode(), **_COST).hex()
