"""What the pages show of the runs, and that nothing of it is more than text."""

from __future__ import annotations

import json
import os
import re
import time
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from alma import Saga, Webhook
from alma.journal import open_journal
from alma.journal.address import address_of
from alma.journal.encryption import KEY, new_key
from alma.journal.rows import ObservationRow
from alma.runner.operation_logs import LOCKED
from tests.web.client import HOSTILE, JOURNAL, TestClient, let_in, make_site


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def client(failed: str) -> TestClient:
    assert failed
    return let_in(make_site())


def listed(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/runs/([^"]+)"', page)


def test_the_list_has_the_newest_first_and_those_that_are_asked_for(
    client: TestClient, failed: str
) -> None:
    newest, oldest = listed(client.get("/").text)
    assert newest == failed
    for query, found in (
        ("saga=shop", [failed]),
        ("saga=mail&stack=prod", [oldest]),
        ("saga=mail&stack=dev", []),
        ("state=FAILED", [failed]),
        ("state=completed", [oldest]),
        ("state=nonsense", [failed, oldest]),
        ("text=QUOTA", [failed]),
        ("text=box", [oldest]),
        (f"text={oldest}", [oldest]),
        ("text=hunter22", []),
    ):
        assert listed(client.get(f"/?{query}").text) == found, query
    assert 'value="FAILED" selected' in client.get("/?state=FAILED").text


def test_a_long_list_goes_on_where_it_has_ended(
    client: TestClient, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alma.web.runs.PAGE", 1)
    first = client.get("/?text=o").text
    assert listed(first) == [failed]
    (link,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = client.get(link.replace("&amp;", "&")).text
    assert len(listed(second)) == 1
    assert listed(second) != [failed]
    assert 'rel="next"' not in second


def test_a_run_is_told_with_its_graph_its_times_and_what_is_left(
    client: TestClient, failed: str
) -> None:
    page = client.get(f"/runs/{failed}").text
    for words in (
        "shop/dev: ",
        "It failed at step &#34;servers&#34;, with 2 leftovers.",
        "Left behind",
        f"alma-pulumi rollback {failed}",
        "Time line",
        '<g class="FAILED">',
        "compensation failed: RuntimeError: it is still in use",
        f'href="/runs/{failed}/logs/servers"',
    ):
        assert words in page, words
    log = client.get(f"/runs/{failed}/logs/servers").text
    assert "RuntimeError: it is still in use" in log
    assert "Nothing was begun" not in log
    assert "it is still in use" not in client.get(f"/runs/{failed}/logs/database").text


def test_a_page_has_headings_in_order_one_main_part_and_no_script_or_style_within(
    client: TestClient, failed: str
) -> None:
    for path in ("/", f"/runs/{failed}", f"/runs/{failed}/logs", "/runs/none"):
        elements = Elements(client.get(path).text).found
        levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before < 2 for before, after in pairwise(levels))
        assert [tag for tag, _ in elements].count("main") == 1
        assert "style" not in [tag for tag, _ in elements]
        for tag, attributes in elements:
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            assert tag != "script" or attributes["src"] == "/static/live.js"
            for name in ("src", "href", "action"):
                assert (attributes.get(name) or "/").startswith(("/", "#")), attributes


def test_whatever_a_program_said_is_text_and_no_secret_is_in_it(
    client: TestClient, failed: str
) -> None:
    for path in (f"/runs/{failed}", f"/runs/{failed}/logs", "/?text=quota"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "hunter22" not in page
    assert "&lt;script&gt;alert(1)" in client.get(f"/runs/{failed}").text
    said = client.get("/", params={"text": '"><script>alert(2)</script>'}).text
    assert "<script>alert" not in said


def test_what_a_process_of_its_own_has_said_is_text_without_secrets(
    client: TestClient, failed: str, tmp_path: Path
) -> None:
    said = tmp_path / ".alma" / "logs" / failed / "apart"
    said.mkdir()
    for number in range(5):
        words = f"given {HOSTILE} as hunter22, {number}\n"
        (said / f"20261127-06000{number}-000000-resume.log").write_text(words)
    page = client.get(f"/runs/{failed}").text
    assert re.findall(r"06000(\d)-000000-resume</h2>", page) == ["4", "3", "2"]
    assert re.findall(r"as \[secret\], (\d)", page) == ["4", "3", "2"]
    assert "hunter22" not in page
    assert "given &lt;script&gt;" in page
    assert "<script>alert" not in page
    JOURNAL.with_name("journal.db.key").unlink()
    locked = client.get(f"/runs/{failed}").text
    assert LOCKED in unescape(locked)
    assert "given &lt;script&gt;" not in locked


def test_a_beginning_of_an_id_leads_to_its_run(client: TestClient, failed: str) -> None:
    found = client.get("/runs/latest?events=all")
    assert (found.status_code, found.headers["location"]) == (303, f"/runs/{failed}?events=all")


@pytest.mark.parametrize(
    "path", ["/runs/nothing", "/runs/nothing/logs", "/runs/nothing/events", "/runs/..%2f..%2fetc"]
)
def test_what_is_not_there_is_said_to_be_so(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_a_journal_that_cannot_be_read_is_no_fault_of_who_asks(client: TestClient) -> None:
    """Of whatever kind: a browser, and what watches it, may ask again."""
    JOURNAL.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    for beside in JOURNAL.parent.glob("journal.db-*"):
        beside.unlink()
    answer = client.get("/")
    assert answer.status_code == 503
    assert "damaged" in answer.text


def test_looking_writes_nothing_and_asks_for_no_key(
    client: TestClient, failed: str, tmp_path: Path
) -> None:
    # By one it is known whose a journal is, the other opens what is sealed in it.
    keys = [
        Path(os.environ["XDG_STATE_HOME"], "alma", "journal.key"),
        JOURNAL.with_name("journal.db.key"),
    ]
    for key in keys:
        key.unlink()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    for path in ("/", f"/runs/{failed}", f"/runs/{failed}/logs"):
        assert client.get(path).status_code == 200
    assert not any(key.exists() for key in keys)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != files.get(path)} <= {
        path for path in after if path.name.endswith("-shm")
    }


def test_over_a_journal_on_postgres(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMA_JOURNAL", database)
    monkeypatch.setenv(KEY, new_key())
    saga = Saga("mail", stack="prod")
    saga.add_step("box", action=lambda: None, compensation="none")
    run = saga.run().run_id
    monkeypatch.delenv(KEY)
    client = let_in(make_site(address_of(database)))
    pages = [client.get(path).text for path in ("/", f"/runs/{run}", f"/runs/{run}/logs/box")]
    assert listed(pages[0]) == [run]
    assert "1 step up." in pages[1]
    assert "no log is left of it" in pages[2]
    stream = client.get(f"/runs/{run}/events?after=5")
    assert stream.headers["content-type"].startswith("text/event-stream")
    kinds = re.findall(r"^event: (\w+)$", stream.text, re.MULTILINE)
    assert kinds == ["progress", "state", "end"]
    assert "pw" not in "".join(pages)
    for path in ("/runs/none/events", "/runs/none", "/runs/'%20or%201=1"):
        assert client.get(path).status_code == 404
    assert client.get("/runs/%00").status_code == 400


def test_the_events_go_on_where_a_browser_has_seen_the_last(client: TestClient) -> None:
    """Of a run that is over: no more comes, and the stream says so."""
    for much in ("9" * 30, "9" * 5000, "-1", "x"):
        assert client.get(f"/?before={much}").status_code == 200
    oldest = listed(client.get("/").text)[1]
    assert "event: end" in client.get(f"/runs/{oldest}/events?after=99").text
    seen = client.get(f"/runs/{oldest}/events", headers={"last-event-id": "5"}).text
    assert re.findall(r"^id: (\d+)$", seen, re.MULTILINE) == ["6"]
    for line in seen.splitlines():
        assert re.fullmatch(r"|(id|event|data|retry): .+", line), line


def test_what_expires_says_when_and_that_it_is_over() -> None:
    saga = Saga("preview", stack="pr-7", ttl="1s")
    saga.add_step("box", action=lambda: None, compensation="none")
    first, second = saga.run().run_id, saga.run().run_id
    client = let_in(make_site())
    assert '<th scope="col">Expires</th>' in client.get("/").text
    assert "UTC it said, which is not so any more" in client.get(f"/runs/{first}").text
    deadline = time.monotonic() + 60
    while "the next `reap` takes it down" not in client.get(f"/runs/{second}").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_notices_that_did_not_arrive_are_named() -> None:
    saga = Saga("mail", notify=[Webhook("http://127.0.0.1:1/<b>", on=["completed"], name="ops")])
    saga.add_step("box", action=lambda: None, compensation="none")
    run = saga.run().run_id
    page = let_in(make_site()).get(f"/runs/{run}").text
    assert "Notices not delivered" in page
    assert "<li>  completed to ops: open" in page
    assert "<b>" not in page


def observed(look: str, step: str, verdict: str, data: object) -> ObservationRow:
    at = f"2026-12-0{look}T06:00:00.000000Z"
    text = data if isinstance(data, str) else json.dumps(data)
    said = {"target": "shop/dev", "run": "r1", "actor": "me@here", "verdict": verdict}
    return ObservationRow(look=look, step=step, at=at, data=text, **said)


def test_drift_is_shown_by_resource_since_when_it_is_so(client: TestClient, failed: str) -> None:
    assert "Nobody has looked for drift yet" in client.get("/drift").text
    web = {
        "urn": "urn:pulumi:dev::shop::fake:index:Thing::web",
        "op": "update",
        "properties": [
            {"path": "tags.<b>", "was": "shop", "now": HOSTILE},
            {"path": "userData", "was": "[secret]", "now": "[secret]"},
        ],
    }
    with open_journal(JOURNAL, write=True) as journal:
        journal.observe([observed("1", "database", "none", {"kind": "stack"})])
        journal.observe([observed("1", "servers", "drifted", {"resources": [web]})])
        journal.observe([observed("2", "servers", "drifted", {"resources": [web]})])
        journal.observe([observed("2", "odd", "drifted", '{"resources": [{"no": 1}]}')])
        journal.observe([observed("2", "worse", "unknown", "}{")])
    page = client.get("/drift?target=shop/dev").text
    for words in (
        "update fake:index:Thing web, first seen 2026-12-01 06:00:00 UTC",
        "tags.&lt;b&gt;: &#34;shop&#34; -&gt;",
        "userData: another secret",
        "database: no drift <span",
    ):
        assert words in page, words
    assert "<b>" not in page
    assert "<script>alert" not in page
    assert 'href="/drift?target=shop%2Fdev"' in client.get(f"/runs/{failed}").text
    assert "Nobody has looked" in client.get("/drift?target=none").text
