"""What is refused before a run begins: notices that nobody could send from here."""

from __future__ import annotations

import os
from collections.abc import Iterable

from alma.core.event_parts import Notifier
from alma.errors import DefinitionError
from alma.saga.notify import Held


def require_reachable(notify: Iterable[tuple[Notifier, Held]]) -> None:
    """Refuse where an address is not known, or what sends to it is not installed."""
    from alma.runner.notices.sending import UnknownAddressError, address_of
    from alma.steps.http.client import require

    for notifier, held in notify:
        try:
            address = address_of(notifier, held, os.environ)
        except UnknownAddressError as error:
            words = f"{error}".removeprefix(f'notify "{notifier.name}": ').rstrip(".")
            raise DefinitionError(
                f'notify "{notifier.name}": {words}.',
                hint="Nothing was begun: who shall be told of this run could not be.",
            ) from None
        if address.url:
            require(f'notify "{notifier.name}"')
