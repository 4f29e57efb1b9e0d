"""The room's own eyes: what they are for is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.web.browser.looks import Watch, each_look, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOOD = '<!doctype html><html lang="en"><title>t</title><main><h1>Hello</h1>{}</main></html>'


def test_each_fault_of_a_page_is_seen(page: Page, watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    parts = """
        <script>console.error("no good")</script><script>console.warn("hm")</script>
        <script>throw new Error("broken")</script>
        <img alt="" src="other.png"><img alt="" src="http://127.0.0.1:9/x.png">
    """
    file.write_text(GOOD.format(parts))
    page.goto(file.as_uri())
    seen = "\n".join(watch.faults)
    for fault in ("error: no good", "warning: hm", "error of the page: broken"):
        assert fault in seen
    for elsewhere in ((tmp_path / "other.png").as_uri(), "http://127.0.0.1:9/x.png"):
        assert f"request to elsewhere: GET {elsewhere}" in seen
    watch.faults.clear()


def test_what_only_some_cannot_read_or_reach_is_seen(page: Page) -> None:
    page.set_content(GOOD.format("fine"))
    assert each_look(page) == []
    page.set_content(
        GOOD.format("<button></button><p style='color:#aaa;background:#fff'>faint</p>")
    )
    assert [one.partition(":")[0] for one in violations(page)] == ["button-name", "color-contrast"]
    page.set_content(GOOD.format("<p style='width:700px'>long</p>"))
    assert [one.partition(": <")[0] for one in each_look(page)] == ["phone: too wide"]
