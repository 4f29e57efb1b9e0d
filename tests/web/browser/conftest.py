from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.web.browser.looks import Watch

# A busy machine is no fault of the page's; a test that would wait this long has failed anyway.
TIMEOUT = 60_000
expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="package")
def browser(chromium: Path) -> Iterator[Browser]:
    """One browser for this room.

    No longer: Playwright has an event loop under way in this thread meanwhile, and what asks for
    one of its own fails. So tests here call alma in a process of its own.
    """
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, timeout=TIMEOUT) as browser,
    ):
        yield browser


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test have done wrong so far."""
    return Watch()


@pytest.fixture
def page(browser: Browser, watch: Watch) -> Iterator[Page]:
    """A page in a browser that knows nothing yet.

    The test fails if any page has an error, says one or a warning on the console, or asks for
    anything outside the origin at which it began.
    """
    with browser.new_context(reduced_motion="reduce") as context:
        context.set_default_timeout(TIMEOUT)
        watch.over(context)
        yield context.new_page()
    assert watch.faults == []
