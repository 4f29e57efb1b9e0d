"""By what a journal is known as one's own: each run is sealed under a key that is kept elsewhere.

Whoever can write the file can write any run into it, with a chain that is whole. What he cannot
make is the seal of a run: an HMAC-SHA256 over its last event and the digest of all, under a key
that is not in the journal's directory. It is the user's own, in `$XDG_STATE_HOME/alma`, or the one
that ALMA_JOURNAL_KEY or ALMA_JOURNAL_KEY_FILE give. docs/journal.md says it for other tools.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from alma.errors import AuthenticationError, JournalError
from alma.journal.encryption import KEY, Keys, checked_keys, new_key
from alma.journal.rows import SealRow
from alma.system import files

_PURPOSE: Final = b"alma: whose journal it is"
"""What the key is used for, so that a seal is no use for anything else under the same key."""


def state_directory(environ: Mapping[str, str]) -> Path:
    """alma's, for what is this user's own; JournalError where there is no home directory."""
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the specification: such a one is ignored
        try:
            state = Path.home() / ".local" / "state"
        except RuntimeError as error:
            raise JournalError(
                "There is no home directory for the key that journals are known by.",
                hint=f"Set HOME, XDG_STATE_HOME or {KEY}.",
            ) from error
    return state / "alma"


def own_key_file(environ: Mapping[str, str]) -> Path:
    """Where this user's key is, for journals for which no other was chosen."""
    return state_directory(environ) / "journal.key"


class Seals:
    """Makes the seals of one journal, and tells its user's own from others."""

    def __init__(self, keys: Keys, environ: Mapping[str, str]) -> None:
        self._keys, self._environ = keys, environ
        self._signing: list[bytes] = []

    def make(self, run: str, seq: int, hash_: str, digest: str) -> SealRow:
        """The seal of a run up to this event. Raises JournalError where no key can be made."""
        mac = _mac(self._signing_keys(make=True)[0], run, seq, hash_, digest)
        return SealRow(run, seq, hash_, digest, mac)

    def fits(self, seal: SealRow | None) -> bool:
        """Whether one of this user's keys has made it."""
        return seal is not None and any(
            hmac.compare_digest(_mac(key, *seal[:-1]).encode(), seal.mac.encode())
            for key in self._signing_keys(make=False)
        )

    def _signing_keys(self, *, make: bool) -> list[bytes]:
        """The first one signs, each is known. The user's own is made when nothing else signs."""
        if not self._signing:
            keys, own = self._keys.outside(), own_key_file(self._environ)
            if make and not keys:
                _make(own)
            keys += _read(own)
            self._signing = [hmac.digest(key.encode(), _PURPOSE, "sha256") for key in keys]
        return self._signing


def _mac(key: bytes, run: str, seq: int, hash_: str, digest: str) -> str:
    return hmac.digest(key, f"{run}\n{seq}\n{hash_}\n{digest}".encode(), "sha256").hex()


def _make(own: Path) -> None:
    if os.path.lexists(own):
        return
    try:
        files.make_directory(own.parent)
        files.create(own, f"{new_key()}\n")
    except OSError as error:
        raise JournalError(
            f"The key {own}, by which journals are known as yours, cannot be made: "
            f"{error.strerror}.",
            hint=f"Make its directory writable, or set XDG_STATE_HOME or {KEY}.",
        ) from error


def _read(own: Path) -> list[str]:
    """The user's own key, if there is one; AuthenticationError where others have a part in it."""
    try:
        for path, kind, others in ((own.parent, stat.S_ISDIR, 0o022), (own, stat.S_ISREG, 0o077)):
            found = path.lstat()
            mode = found.st_mode
            if not kind(mode) or found.st_uid != os.geteuid() or mode & others:
                raise AuthenticationError(
                    f"{path} is not yours alone: it holds the key by which journals are known.",
                    hint="Look at who owns it and who may write it, and mend that or remove it.",
                )
        with files.open_own(own) as file:
            return checked_keys(file.read().decode("ascii").split(), str(own))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise AuthenticationError(f"The key {own} cannot be read: {error}.") from error
