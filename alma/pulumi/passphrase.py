"""Whether a passphrase opens a stack's secrets, found out before anything is started.

The CLI itself says so only in the middle of an update. It checks a passphrase against the salt
(`v1:<salt>:v1:<nonce>:<ciphertext of "pulumi">`) whenever it encrypts, so it is made to encrypt
something in a directory that is gone afterwards: one process of a third of a second. That a
passphrase fits a salt is true for ever, so it is remembered, as a scrypt hash of the passphrase.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from alma.pulumi.engine import StackRef
from alma.pulumi.project import replace_file
from alma.pulumi.reading import PulumiCli
from alma.pulumi.stretch import stretched


async def check_passphrase(
    reader: PulumiCli, ref: StackRef, salt: str, passphrase: str, environ: Mapping[str, str]
) -> None:
    """Raise `AuthenticationError` when the passphrase is not the one that made the salt."""
    known = _known(salt, environ)
    digest = await asyncio.to_thread(stretched, passphrase, salt)
    if known is not None and _recall(known, digest):
        return
    await reader.encrypt(ref, salt)
    _remember(known, digest)


async def remember_passphrase(salt: str, passphrase: str, environ: Mapping[str, str]) -> None:
    """An operation under this passphrase has succeeded: the next run need not find it out."""
    known = _known(salt, environ)
    if known is not None and not known.exists():
        _remember(known, await asyncio.to_thread(stretched, passphrase, salt))


def _remember(known: Path | None, digest: str) -> None:
    if known is None:
        return
    with suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(known, digest)


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
