"""Values that the journal keeps and nobody may read: sealed under a key that is kept apart.

A sealed value is a Fernet token (AES-128-CBC and HMAC-SHA256) of the value as JSON, in which a
`Secret` stays one. The key comes from ALMA_JOURNAL_KEY or ALMA_JOURNAL_KEY_FILE; with neither, one
is made beside the journal. Several keys, for a change of keys: the first one seals, each opens.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alma.core.secret import Secret
from alma.errors import AuthenticationError, JournalError
from alma.system import files

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY: Final = "ALMA_JOURNAL_KEY"
KEY_FILE: Final = "ALMA_JOURNAL_KEY_FILE"
_KEY_BYTES: Final = 32
_SECRET, _MAP, _UNKNOWN = "$secret", "$map", "$unknown"


class Keys:
    """The keys of one journal, looked up when they are first needed."""

    def __init__(self, journal: Path, environ: Mapping[str, str]) -> None:
        self.own = journal.with_name(f"{journal.name}.key")
        """The file of the key that is made where the user chose none."""
        self._environ = environ
        self._known: list[str] = []

    @property
    def chosen(self) -> str:
        """By which variable the user chose the key; empty: alma's own."""
        return next((name for name in (KEY, KEY_FILE) if self._environ.get(name)), "")

    def outside(self) -> list[str]:
        """The keys that the user gave, where whoever writes the journal did not put them.

        A file beside the journal comes with it. Raises AuthenticationError as `read` does.
        """
        beside = self.own.parent.resolve()
        if self.chosen == KEY_FILE and Path(self._environ[KEY_FILE]).resolve().is_relative_to(
            beside
        ):
            return []
        return self._read_chosen()

    def prepare(self) -> None:
        """Have a key, before anything is done whose outcome may need it.

        Of several that make it at one moment the first one counts. Raises AuthenticationError for
        what is no key, JournalError where it cannot be written.
        """
        if not self.chosen and not self.own.exists():
            try:
                files.make_directory(self.own.parent)
                files.create(self.own, f"{new_key()}\n")
            except OSError as error:
                raise JournalError(
                    f"The journal's key {self.own} cannot be made: {error.strerror}.",
                    hint="Make its directory writable, or set ALMA_JOURNAL_KEY.",
                ) from error
        self._known = self.read()
        if not self._known:
            raise self._missing()

    def read(self) -> list[str]:
        """All keys that there are, the one that seals first. Raises AuthenticationError."""
        keys = self._read_chosen()
        if self.chosen != KEY_FILE or self.own != Path(self._environ[KEY_FILE]).absolute():
            keys += _keys_in(self.own)
        return list(dict.fromkeys(keys))

    def seal(self, value: Any) -> str:
        """A token of a JSON-like value, `Secret`s and all."""
        data = json.dumps(_packed(value), separators=(",", ":")).encode()
        return self._fernet().encrypt(zlib.compress(data)).decode("ascii")

    def unseal(self, token: str) -> Any:
        """The value of a token. Raises AuthenticationError without its key."""
        from cryptography.fernet import InvalidToken

        try:
            data = self._fernet().decrypt(token.encode("ascii"))
        except InvalidToken as error:
            raise AuthenticationError(
                f"The journal's key in {self._place} is not the one that its values were sealed "
                "under.",
                hint="Give the old key as well, after the new one: several may stand there.",
            ) from error
        return _unpacked(json.loads(zlib.decompress(data)))

    def digest(self, value: Any) -> str:
        """Of a JSON-like value, secrets and all: who has not the key can guess nothing from it."""
        import hmac

        self._fernet()  # known by now, or refused
        key = base64.urlsafe_b64decode(self._known[0])
        data = json.dumps(_packed(value), sort_keys=True, separators=(",", ":")).encode()
        return hmac.new(key, data, "sha256").hexdigest()

    def seal_again(self, token: str) -> str:
        """The same value under the first key; the token itself where that opens it already."""
        from cryptography.fernet import Fernet, InvalidToken

        value = self.unseal(token)
        try:
            Fernet(self.read()[0]).decrypt(token.encode("ascii"))
        except InvalidToken:
            return self.seal(value)
        return token

    def renew(self) -> None:
        """Put a new key before alma's own, which stay: they open what is there."""
        self._write([new_key(), *_keys_in(self.own)])

    def drop_old(self) -> None:
        """Keep the first of alma's own keys alone."""
        self._write(_keys_in(self.own)[:1])

    def _write(self, keys: list[str]) -> None:
        try:
            files.replace(self.own, "".join(f"{key}\n" for key in keys))
        except OSError as error:
            raise JournalError(
                f"The journal's key {self.own} cannot be written: {error.strerror}."
            ) from error

    @property
    def _place(self) -> str:
        return self.chosen or str(self.own)

    def _fernet(self) -> MultiFernet:
        """Of the keys as they are now: somebody may change them while a run goes on.

        What was there when it began is known all the same.
        """
        from cryptography.fernet import Fernet, MultiFernet  # only where something is sealed

        self._known = list(dict.fromkeys([*self.read(), *self._known]))
        if not self._known:
            raise self._missing()
        return MultiFernet([Fernet(key) for key in self._known])

    def _read_chosen(self) -> list[str]:
        if self.chosen == KEY:
            return checked_keys(self._environ[KEY].replace(",", " ").split(), KEY)
        if self.chosen == KEY_FILE:
            path = Path(self._environ[KEY_FILE])
            try:
                return checked_keys(path.read_text(encoding="ascii").split(), str(path))
            except (OSError, ValueError) as error:
                raise AuthenticationError(
                    f"The journal's key file {path} cannot be read: {error}.",
                    hint=f"Mend {KEY_FILE}.",
                ) from error
        return []

    def _missing(self) -> AuthenticationError:
        return AuthenticationError(
            f"The journal keeps values sealed, and there is no key: {self._place}.",
            hint=f"Put the file back, or set {KEY} or {KEY_FILE}.",
        )


def known_on_no_other(journal: str) -> AuthenticationError:
    """Of a shared journal, without a key that was given."""
    return AuthenticationError(
        f"The journal {journal} is shared, and there is no key for it: one that this host made by "
        "itself would be known on no other.",
        hint=f"Set {KEY} or {KEY_FILE}, the same on each host. {make_one()}",
    )


def make_one() -> str:
    """How a key is made by hand, for a hint."""
    return "To make one: openssl rand -base64 32 | tr '+/' '-_'"


def new_key() -> str:
    """A random key, as Fernet has them."""
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode("ascii")


def _keys_in(own: Path) -> list[str]:
    try:
        with files.open_own(own) as file:
            return checked_keys(file.read().decode("ascii").split(), str(own))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise AuthenticationError(f"The journal's key {own} cannot be read: {error}.") from error


def checked_keys(keys: list[str], where: str) -> list[str]:
    """The keys, each of which is one; AuthenticationError, which says where they stand."""
    for key in keys:
        try:
            sound = len(base64.b64decode(key, altchars=b"-_", validate=True)) == _KEY_BYTES
        except (binascii.Error, ValueError):
            sound = False
        if not sound:
            raise AuthenticationError(
                f"What stands in {where} is no key of a journal.",
                hint="A key is 32 random bytes in URL-safe base64; alma makes one by itself.",
            )
    return keys


def _packed(tree: Any) -> Any:
    """As JSON that says what is a `Secret`: each object has one key, which says what it is."""
    if isinstance(tree, Secret):
        return {_UNKNOWN: True} if tree.is_sealed else {_SECRET: _packed(tree.value)}
    if isinstance(tree, Mapping):
        return {_MAP: {key: _packed(value) for key, value in tree.items()}}
    if isinstance(tree, list | tuple):
        return [_packed(value) for value in tree]
    return tree


def _unpacked(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_unpacked(value) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if _SECRET in tree:
        return Secret(_unpacked(tree[_SECRET]))
    if _UNKNOWN in tree:
        return Secret.sealed()
    return {key: _unpacked(value) for key, value in tree[_MAP].items()}
