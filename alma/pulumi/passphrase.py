"""Whether a passphrase opens a stack's secrets, found out before anything is started.

The CLI itself says so only in the middle of an update. It checks a passphrase against the salt
(`v1:<salt>:v1:<nonce>:<ciphertext of "pulumi">`) whenever it makes a stack, so it is made to make
one on a backend that is gone afterwards: one process of a third of a second. That a passphrase
fits a salt is true for ever, so it is remembered, as a scrypt hash of the passphrase.

That hash may begin before what runs the saga is loaded, on another processor: so little is
imported here before it is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from alma.errors import AlmaError, AuthenticationError
from alma.pulumi.backend import Backend
from alma.pulumi.checkpoint import passphrase_salt
from alma.pulumi.engine import StackRef
from alma.system import files

if TYPE_CHECKING:
    from alma.pulumi.cli import PulumiCli

_COST: Final = {"n": 2**12, "r": 8, "p": 8, "maxmem": 2**24}
"""scrypt's parameters (RFC 7914): a tenth of a second a guess, which is no less than the salt in
the state costs whoever has that; in 4 MiB, where as much at once would double a small runner."""

_MEND: Final = "Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it."

_Stretched = tuple[str, str, str]
"""Passphrase, salt, and what became of them."""

_ahead: list[Future[_Stretched | None]] = []
"""At most one: what is under way for the check of this process's run."""


class Salt(NamedTuple):
    """What a passphrase must fit: of a stack, in the words of `where`."""

    ref: StackRef
    salt: str
    where: str


def find_salt(backend: Backend, refs: Sequence[StackRef]) -> Salt | None:
    """The first of these stacks that has secrets under a passphrase of the user's, and its salt."""
    if backend.root is None or backend.has_own_state:
        return None
    salts = (
        Salt(ref, passphrase_salt(backend.root, ref), f"stack {ref.project}/{ref.stack}")
        for ref in refs
    )
    return next((found for found in salts if found.salt), None)


def _salts(backend: Backend, refs: Sequence[StackRef]) -> list[Salt]:
    """All that the passphrase must fit: what stacks hold, and what users' settings say."""
    from alma.pulumi.project import salt_of

    state = find_salt(backend, refs)
    found = [state] if state else []
    for ref in refs:
        if ref.work_dir or ref.options.settings:
            salt, where = salt_of(ref)
            if salt and salt not in [one.salt for one in found]:
                found.append(Salt(ref, salt, where))
    return found


def prewarm_hash(refs: Sequence[StackRef]) -> None:
    """Begin what a check under this process's environment will need.

    The state is read there, too: it may be large.
    """
    _ahead[:] = [ThreadPoolExecutor(1).submit(_begun, Path.cwd(), refs)]


def _begun(cwd: Path, refs: Sequence[StackRef]) -> _Stretched | None:
    with suppress(AlmaError, OSError):  # The check itself finds what is wrong.
        common = Backend.choose(cwd, os.environ)
        for ref in refs:
            backend = common.of(ref.backend)
            if (found := find_salt(backend, [ref])) is not None:
                passphrase, salt = backend.passphrase(os.environ), found.salt
                return passphrase, salt, _scrypt(passphrase, salt)
    return None


def hash_passphrase(passphrase: str, salt: str) -> str:
    """The passphrase with the salt, in hexadecimal; what has begun is waited for. Blocks."""
    known = _ahead.pop().result() if _ahead else None
    if known is not None and known[:2] == (passphrase, salt):
        return known[2]
    return _scrypt(passphrase, salt)


def _scrypt(passphrase: str, salt: str) -> str:
    return hashlib.scrypt(passphrase.encode(), salt=salt.encode(), **_COST).hex()


async def check_passphrase(
    reader: PulumiCli,
    backend: Backend,
    refs: Sequence[StackRef],
    environ: Mapping[str, str],
    *,
    remember: bool = True,
) -> None:
    """Raise `AuthenticationError` when the passphrase is not that of the stacks and settings.

    What fits is noted for the next time, unless nothing may be written.
    """
    import asyncio

    salts = await asyncio.to_thread(_salts, backend, refs)
    if not salts:
        return
    if (own := backend.own_passphrase) is not None and not own.exists():
        raise AuthenticationError(
            f"{salts[0].where} has secrets under a passphrase, and none is given.",
            hint=_MEND,
        )
    word = backend.passphrase(environ)
    await asyncio.gather(
        *(_require_fit(reader, salt, word, environ, remember=remember) for salt in salts)
    )


async def _require_fit(
    reader: PulumiCli, salt: Salt, word: str, environ: Mapping[str, str], *, remember: bool
) -> None:
    import asyncio

    known = _known(salt.salt, environ)
    digest = await asyncio.to_thread(hash_passphrase, word, salt.salt)
    if known is not None and _recall(known, digest):
        return
    try:
        await reader.fit(salt.ref, salt.salt)
    except AuthenticationError as error:
        raise AuthenticationError(
            f"The passphrase is not the one that the secrets of {salt.where} are encrypted with.",
            hint=_MEND,
        ) from error
    if remember:
        _remember(known, digest)


async def remember_new(backend: Backend, ref: StackRef, environ: Mapping[str, str]) -> None:
    """A new stack is up under this passphrase: the next run need not find out that it fits."""
    import asyncio

    if backend.root is None or backend.has_own_state:
        return
    salt = await asyncio.to_thread(passphrase_salt, backend.root, ref)
    known = _known(salt, environ) if salt else None
    if known is not None and not known.exists():
        word = backend.passphrase(environ)
        _remember(known, await asyncio.to_thread(hash_passphrase, word, salt))


def _remember(known: Path | None, digest: str) -> None:
    if known is None:
        return

    with suppress(OSError):
        files.make_directory(known.parent)
        files.replace(known, digest, durable=False)


def _known(salt: str, environ: Mapping[str, str]) -> Path | None:
    home = environ.get("XDG_CACHE_HOME") or (
        f"{environ['HOME']}/.cache" if environ.get("HOME") else ""
    )
    name = hashlib.sha256(salt.encode()).hexdigest()[:32]
    return Path(home) / "alma" / "passphrases" / name if home else None


def _recall(known: Path, digest: str) -> bool:
    try:
        return hmac.compare_digest(known.read_text(encoding="ascii"), digest)
    except (OSError, UnicodeDecodeError):
        return False
