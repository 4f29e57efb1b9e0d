"""A site over a journal, and a client of it; with a browser's cookies, in this process."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from alma.journal.address import Address
from alma.web.access import Access
from alma.web.app import application
from alma.web.site import Site

with warnings.catch_warnings():
    # It would rather have a successor of httpx, which nothing else here needs.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

__all__ = ["HOME", "HOSTILE", "TestClient", "client_of", "let_in", "make_site"]

HOME = "http://127.0.0.1:2562"
JOURNAL = Path(".alma", "journal.db")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def make_site(where: Address = JOURNAL, *, actions: bool = False, **access: Any) -> Site:
    said = {"host": "127.0.0.1", "port": 2562, **access}
    return Site(where, Access(**said), actions=actions)


def client_of(site: Site, **options: Any) -> TestClient:
    said = {"base_url": HOME, "follow_redirects": False, **options}
    return TestClient(application(site), **said)


def let_in(site: Site) -> TestClient:
    """A client with its cookie."""
    client = client_of(site)
    assert client.get("/", params={"token": site.access.token}).status_code == 303
    return client
