"""`alma-pulumi ui` in a real browser: what a person sees, does, and finds again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.cli.tools import wait_for
from tests.web.browser.looks import Watch, each_look, show, tab_to, violations
from tests.web.browser.site import Site, served, started

# Goes on when a file is there: no test depends on how long anything takes.
WATCHED = """
import time
from pathlib import Path
from alma import Saga

def until(name):
    Path("at-" + name).touch()
    while not Path(name).exists():
        time.sleep(0.01)

def fail():
    until("fail")
    raise RuntimeError("quota used up")

saga = Saga("watched", stack="dev")
saga.add_step("database", action=lambda: None, compensation=lambda: until("undo"))
saga.add_step("servers", action=fail, compensation=lambda: None)
"""

APPROVED = """
from alma import Saga

saga = Saga("asking", stack="dev")
saga.add_step("database", action=lambda: None, compensation=lambda: None)
saga.add_approval("release", ["jane"])
saga.add_step("servers", action=lambda: None, compensation="none")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), "--actions", ALMA_ACTOR="jane") as site:
        yield site


@pytest.fixture
def let_in(page: Page, site: Site) -> Page:
    """A page at the list of runs, in a browser that has used the URL with the token."""
    page.goto(site.url)
    expect(page).to_have_url(f"{site.origin}/")
    return page


def test_a_run_is_watched_live_to_its_undo(let_in: Page, site: Site) -> None:
    page = let_in
    (site.home / "watched.py").write_text(WATCHED)
    with started(site.home, "up", "watched.py") as run:
        wait_for(site.home / "at-fail")
        page.reload()
        page.get_by_label("Saga").select_option("watched")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("rowheader").get_by_role("link").click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text("watched/dev: RUNNING")
        assert each_look(page) == []
        show(page, "running")
        page.evaluate("window.loaded = 'once'")
        page.get_by_role("link", name="of all steps").focus()

        (site.home / "fail").touch()
        expect(heading).to_have_text("watched/dev: COMPENSATING")
        expect(page.get_by_role("status")).to_contain_text("database")
        step = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="servers"))
        expect(step.first).to_contain_text("COMPENSATED")
        (site.home / "undo").touch()
        expect(heading).to_have_text("watched/dev: COMPENSATED")
        expect(page.get_by_role("heading", name="Failures")).to_be_visible()
        expect(page.get_by_role("link", name="of all steps")).to_be_focused()
        expect(page).to_have_title("watched/dev: COMPENSATED - alma")
        assert page.evaluate("window.loaded") == "once", "it was never loaded again"
        assert run.wait(timeout=300) == 4


def test_a_run_that_waits_is_approved_and_gone_on_with(let_in: Page, site: Site) -> None:
    page = let_in
    (site.home / "asking.py").write_text(APPROVED)
    with started(site.home, "up", "asking.py") as run:
        said = run.communicate(timeout=300)[0]
    page.goto(f"{site.origin}/runs/latest")
    expect(page.get_by_role("heading", level=1), said).to_contain_text("asking/dev")
    page.get_by_role("link", name='Approve "release"').click()
    expect(page.get_by_role("heading", level=1)).to_have_text('Approve "release"')
    assert each_look(page) == []
    show(page, "approve")
    page.get_by_label("Why?").focus()
    page.keyboard.type("seen with <b>Ann</b>")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="It is approved.")).to_be_visible()
    expect(page.get_by_text("seen with <b>Ann</b>").first).to_be_visible()
    assert violations(page) == []

    page.get_by_role("link", name="Resume").click()
    page.get_by_label("Why?").fill("approved")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("asking/dev: COMPLETED")
    show(page, "approved")


def test_runs_are_found_by_keyboard_alone_and_found_again(let_in: Page, site: Site) -> None:
    page = let_in
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    state = page.get_by_label("State")
    for _ in range(10):  # past the ways to other pages, to the third choice
        page.keyboard.press("Tab")
        if state.evaluate("choice => choice === document.activeElement"):
            break
    expect(state).to_be_focused()
    page.keyboard.type("FAILED")
    tab_to(page, "Show")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"[?&]state=FAILED"))
    expect(page.get_by_label("State")).to_have_value("FAILED")
    assert page.get_by_role("rowheader").all_inner_texts() == [site.failed]
    tab_to(page, site.failed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop/dev: FAILED")
    tab_to(page, "The end of do.log")
    page.keyboard.press("Enter")
    details = page.locator("details", has_text="The end of do.log")
    expect(details).to_contain_text("asked for <i>two</i> servers")
    page.go_back()
    assert page.get_by_role("rowheader").all_inner_texts() == [site.failed]
    page.goto(f"{site.origin}/?saga=mail&text=box")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page.get_by_label("Saga")).to_have_value("mail")


def test_links_lead_to_what_they_name(let_in: Page, site: Site) -> None:
    page = let_in
    page.goto(f"{site.origin}/runs/{site.failed[:-2]}?events=all#events")
    expect(page).to_have_url(f"{site.origin}/runs/{site.failed}?events=all#events")
    expect(page.get_by_role("heading", name="Events")).to_be_in_viewport()
    page.get_by_role("link", name="servers-of-the-region-us-east").click()
    expect(page).to_have_url(f"{site.origin}/runs/{site.failed}/logs/servers-of-the-region-us-east")
    expect(page.get_by_role("main")).to_contain_text("asked for <i>two</i> servers")
    assert page.locator("i, b").count() == 0, "what was said is no markup"


@pytest.mark.parametrize("name", ["runs", "none", "run", "logs"])
def test_each_page_can_be_used_by_everybody(let_in: Page, site: Site, name: str) -> None:
    page = let_in
    paths = {
        "runs": "/",
        "none": "/?text=nothing-of-that-name",
        "run": f"/runs/{site.failed}",
        "logs": f"/runs/{site.failed}/logs",
    }
    page.goto(site.origin + paths[name])
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert each_look(page) == []
    show(page, name)


@pytest.mark.parametrize("path", ["/runs/none", "/?token=wrong"])
def test_what_is_refused_is_said_to_everybody(
    page: Page, watch: Watch, site: Site, path: str
) -> None:
    if path.startswith("/runs"):
        page.goto(site.url)
    answer = page.goto(site.origin + path)
    assert answer is not None
    assert answer.status in (401, 404)
    assert each_look(page) == []
    show(page, f"refused-{answer.status}")
    # What a browser itself says of such an answer.
    assert [one for one in watch.faults if f"status of {answer.status}" not in one] == []
    watch.faults.clear()
