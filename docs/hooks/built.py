"""What was built is read once more: it loads nothing from elsewhere, and no link in it is dead."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig

ELSEWHERE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")
LOADING = {"script", "link", "img", "iframe", "source", "object", "embed"}


class Built(HTMLParser):
    """The anchors of a page, what it loads, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what counts of an element."""
        found = {name: value for name, value in attrs if value}
        self.ids.add(found.get("id", ""))
        goal = self.loads if tag in LOADING else self.links if tag == "a" else []
        goal += [found[name] for name in ("src", "href", "data") if name in found]


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that needs another one to be read, or leads nowhere."""
    site = Path(config.site_dir)
    # The page for what is not found is shown at any address, so its links begin at the root.
    built = {path: Built(path.read_text()) for path in site.rglob("*.html") if path.stem != "404"}
    found = [fault for path in built for fault in faults(path, built)]
    for path in site.rglob("*.css"):
        found += [f"{path.name} loads {url}" for url in ELSEWHERE.findall(path.read_text())]
    if found:
        raise PluginError("\n".join(["the site is not whole:", *sorted(set(found))]))


def faults(path: Path, built: dict[Path, Built]) -> Iterator[str]:
    """Each thing that a page loads from elsewhere, and each dead link."""
    page = built[path]
    for place in page.loads + page.links:
        url = urlsplit(place)
        target = (path.parent / unquote(url.path)).resolve() if url.path else path
        if url.scheme or url.netloc:
            if place in page.loads:
                yield f"{path.name} loads {place}"
        elif not target.exists() or (
            url.fragment and target in built and unquote(url.fragment) not in built[target].ids
        ):
            yield f"{path.name} leads to {place}, which is not there"
