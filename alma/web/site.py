"""What all pages share: the journal that they show, who may look, and how a page is made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse

from alma.__about__ import __version__
from alma.journal import Journal, open_journal
from alma.reports.page import environment

if TYPE_CHECKING:
    from alma.journal.address import Address
    from alma.web.access import Access


_DIGITS: Final = 19
"""From so many on it may be more than a database takes."""


class Site:
    """`told` is the `--journal` that commands on a page have to name; None for the usual one.

    With `actions` it is more than looked at. Each of `codes` lets a browser in once. `closing` is
    set when the server is to end: what would go on for ever ends then.
    """

    def __init__(
        self, where: Address, access: Access, *, told: Address | None = None, actions: bool = False
    ) -> None:
        self.where, self.told = where, told
        self.access, self.actions = access, actions
        self.closing = asyncio.Event()
        self.codes: set[str] = set()
        self._templates = environment("alma.web")

    def open(self) -> Journal:
        """The journal, to be read: nothing is written, and no key is asked for."""
        return open_journal(self.where, write=False)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of what the template is given."""
        shared = {"alma": __version__, "journal": str(self.where), "actions": self.actions}
        text = self._templates.get_template(template).render(**shared, **values)
        return HTMLResponse(text, status)


def number(text: str) -> int | None:
    """What a query says of a place; None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None
