"""The report of a run as a page, in a real browser: everybody can read it, and it calls nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser.looks import each_look, show, tab_to

ROOT = Path(__file__).parents[3]

# Words that are long, or would be markup; a command, which has a log.
SAGA = """
import os, sys
from alma import Saga, Secret

def make():
    return {"url": "https://db.internal.example:5432/" + "long/" * 30, "key": Secret("hunter22")}

def unmake():
    if BREAK == "undo":
        raise RuntimeError("it is still in use by <b>somebody</b> " + "x" * 200)

BREAK = os.environ["BREAK"]
TALK = "print('asked for <i>two</i> servers\\\\n' * 3); raise SystemExit(int(sys.argv[1]))"
saga = Saga("shop", stack="dev")
db = saga.add_step("database", action=make, compensation=unmake)
for one in ("eu-west", "us-east", "ap-south"):
    code = "7" if BREAK and one == "us-east" else "0"
    web = saga.add_command(
        f"servers-of-the-region-{one}",
        do=[sys.executable, "-c", "import sys; " + TALK, code],
        undo=["true"],
        inputs={"url": db.output("url")},
        after=["database"],
    )
saga.add_step("balancer", action=lambda: None, compensation="none")
"""
RUNS = {"completed": ("", 0), "undone": ("action", 4), "left": ("undo", 10)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a run that has come to each of its ends, made by processes at once."""
    reports = {}
    with ExitStack() as running:
        started = []
        for name, (broken, code) in RUNS.items():
            home = tmp_path_factory.mktemp(name)
            (home / "saga.py").write_text(SAGA)
            reports[name] = home / "report.html"
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "BREAK": broken}
            command = [sys.executable, "-m", "alma", "up", "--report", reports[name]]
            process = subprocess.Popen(command, cwd=home, env=environment, stdout=-3, stderr=-1)
            started.append((running.enter_context(process), code))
        for process, code in started:
            said = process.communicate()[1]
            assert process.returncode == code, said.decode()
    return reports


@pytest.mark.parametrize("end", RUNS)
def test_a_report_can_be_read_by_everybody(page: Page, made: dict[str, Path], end: str) -> None:
    page.goto(made[end].as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("shop/dev: ")
    assert page.locator("b, i").count() == 0, "what was said is no markup"
    assert each_look(page) == []
    show(page, f"report-{end}")


def test_a_report_is_read_by_keyboard(page: Page, made: dict[str, Path]) -> None:
    page.goto(made["left"].as_uri())
    details = page.locator("details", has_text="The end of do.log")
    expect(details).not_to_have_attribute("open", "")
    tab_to(page, "The end of do.log")
    page.keyboard.press("Enter")
    expect(details).to_have_attribute("open", "")
    expect(details.locator("pre")).to_contain_text("asked for <i>two</i> servers")
