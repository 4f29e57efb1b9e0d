"""What a page must not do in a browser, and the rules of accessibility that it must keep."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
LOOKS = {
    "light": (WIDE, "light"),
    "dark": (WIDE, "dark"),
    "phone": (PHONE, "light"),
}
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


@dataclass
class Watch:
    """Notes what no page of alma's may do: all pages of a context, from its start to its end."""

    faults: list[str] = field(default_factory=list)
    _home: str | None = None

    def over(self, context: BrowserContext) -> None:
        context.on("console", self._said)
        context.on("weberror", self._raised)
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console, {message.type}: {message.text}")

    def _raised(self, error: WebError) -> None:
        self.faults.append(f"error of the page: {error.error}")

    def _asked(self, request: Request) -> None:
        # The first thing that a test opens is where it is at home.
        if self._home is None:
            self._home = origin(request.url)
        if origin(request.url) not in (self._home, "data:"):
            self.faults.append(f"request to elsewhere: {request.method} {request.url}")


def origin(url: str) -> str:
    """The origin of an address; a file's is itself, since it may ask for nothing beside it."""
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            return parts._replace(query="", fragment="").geturl()
        case "http" | "https":
            return f"{parts.scheme}://{parts.netloc}"
        case other:
            return f"{other}:"


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is now, in a line each."""
    options = {"runOnly": {"type": "tag", "values": list(RULES)}}
    found: Mapping[str, Any] = Axe().run(page, options=options).response
    assert found["passes"], "axe has looked at nothing"
    return [
        f"{rule['id']}: {node['target'][0]}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def overflow(page: Page) -> list[str]:
    """What sticks out of the page's width: nobody should scroll a page sideways."""
    script = """() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        return [...document.querySelectorAll("body *")]
            .filter((one) => one.getBoundingClientRect().right > width + 1)
            .map((one) => one.outerHTML.slice(0, 120));
    }"""
    found: list[str] = page.evaluate(script)
    return found


def each_look(page: Page) -> list[str]:
    """Look at the page in both themes, and as on a phone: what is wrong, and where."""
    wrong = []
    for name, (size, theme) in LOOKS.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=theme)
        wrong += [f"{name}: {one}" for one in violations(page)]
        wrong += [f"{name}: too wide: {one}" for one in overflow(page)]
    return wrong


def tab_to(page: Page, name: str) -> None:
    """Go on by the key alone, until a link, a button or a summary with this text has the focus."""
    script = """() => {
        const at = document.activeElement;
        return at.matches("a, button, summary") ? at.innerText : "";
    }"""
    passed: list[str] = []
    while name not in (here := str(page.evaluate(script))):
        passed.append(here)
        assert len(passed) < 100, f"the keyboard does not come to {name}, only to {passed}"
        page.keyboard.press("Tab")


def show(page: Page, name: str) -> None:
    """Keep how the page looks, for somebody who wants to see: in the directory ALMA_TESTS_SHOTS."""
    if not (directory := os.environ.get("ALMA_TESTS_SHOTS")):
        return
    for look, (size, theme) in LOOKS.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=Path(directory, f"{name}-{look}.png"), full_page=True)
