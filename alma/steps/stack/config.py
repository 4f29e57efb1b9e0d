"""Which values a stack's config can hold: Pulumi takes one kind of map for a ciphertext."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alma.core.secret import Secret
from alma.core.validation import plain_value
from alma.errors import DefinitionError


def config_value(where: str, value: Any, *, null: bool = False) -> Any:
    """The value as plain JSON; DefinitionError, which names the place, for what cannot be config.

    A map with the one key `secure` is how Pulumi keeps a ciphertext: as config it would be
    decrypted, or be lost.
    """
    found = plain_value(where, value, null=null)
    _refuse_ciphertext(where, found)
    return found


def _refuse_ciphertext(where: str, value: Any) -> None:
    if isinstance(value, Secret):
        _refuse_ciphertext(where, None if value.is_sealed else value.value)
    elif isinstance(value, Mapping):
        if set(value) == {"secure"}:
            raise DefinitionError(
                f'{where}: a map whose only key is "secure" is a ciphertext to Pulumi.',
                hint="Give the map a second key, or pass it as text (json.dumps).",
            )
        for key, entry in value.items():
            _refuse_ciphertext(f"{where}.{key}", entry)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            _refuse_ciphertext(f"{where}[{index}]", entry)
