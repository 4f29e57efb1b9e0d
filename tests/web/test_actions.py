"""What can be done from the pages, by whom, and that nobody else's page can do it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from alma import Saga, SagaInterrupted, Secret
from alma.core import events as ev
from alma.journal import open_journal
from tests.web.client import HOME, JOURNAL, TestClient, client_of, let_in, make_site

ORIGIN = {"origin": HOME, "sec-fetch-site": "same-origin"}


def events(run: str) -> list[ev.Event]:
    with open_journal(JOURNAL, write=False) as journal:
        return [entry.event for entry in journal.events(run)]


@pytest.fixture
def waiting() -> str:
    """A run that waits for jane."""
    saga = Saga("shop", stack="dev")
    saga.add_step("database", action=lambda: {"p": Secret("hunter22")}, compensation=lambda: None)
    saga.add_approval("release", ["jane"])
    saga.add_step("live", action=lambda: None, compensation="none")
    with pytest.raises(SagaInterrupted) as raised:
        saga.run()
    return raised.value.result.run_id


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def send(client: TestClient, path: str, reason: str = "seen", **said: Any) -> Any:
    """Open the form, and send it as a browser does."""
    form = client.get(path)
    assert form.status_code == 200, form.text
    assert form.headers["referrer-policy"] == "same-origin"
    fields = {**hidden(form.text), "reason": reason, **said}
    return client.post(path.partition("?")[0], data=fields, headers=ORIGIN)


def test_an_approval_is_given_with_its_reason_under_the_name_of_who_gives_it(
    waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = let_in(make_site(actions=True))
    page = client.get(f"/runs/{waiting}").text
    links = re.findall(r'href="(/runs/[^"]+/actions/[^"]+)"', page)
    assert [link.rpartition("/")[2] for link in links] == [
        *("approve?step=release", "refuse?step=release", "resume", "rollback", "abandon"),
    ]
    form = client.get(links[0]).text
    assert "live: call" in form
    refused = send(client, links[0])
    assert refused.status_code == 409
    assert "is for jane to approve" in refused.text
    monkeypatch.setenv("ALMA_ACTOR", "jane")
    assert "A reason is needed" in send(client, links[0], reason=" ").text
    done = send(client, links[0], reason="fine, hunter22")
    assert (done.status_code, done.headers["location"]) == (303, f"/runs/{waiting}?done=approve")
    (said,) = (one for one in events(waiting) if isinstance(one, ev.ApprovalAnswered))
    assert (said.approved, said.name, said.reason) == (True, "jane", "fine, [secret]")
    assert "It is approved." in client.get(done.headers["location"]).text
    assert "jane has approved it" in send(client, links[1]).text


def test_a_proxys_user_is_who_approves(waiting: str) -> None:
    client = client_of(make_site(actions=True, user_header="x-user"))
    path = f"/runs/{waiting}/actions/refuse?step=release"
    client.headers["x-user"] = "joe"
    assert "this is joe" in send(client, path).text
    csrf = hidden(client.get(path).text)
    client.headers["x-user"] = "jane"
    stolen = client.post(path.partition("?")[0], data={**csrf, "reason": "x"}, headers=ORIGIN)
    assert stolen.status_code == 403, "a form is of whoever it was made for"
    assert send(client, path).status_code == 303
    (said,) = (one for one in events(waiting) if isinstance(one, ev.ApprovalAnswered))
    assert (said.approved, said.name) == (False, "jane")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": HOME.replace("2562", "2563")},
        {"origin": HOME, "sec-fetch-site": "cross-site"},
    ],
)
def test_no_other_page_can_do_anything(waiting: str, headers: dict[str, str]) -> None:
    client = let_in(make_site(actions=True))
    path = f"/runs/{waiting}/actions/abandon"
    said = {**hidden(client.get(path).text), "reason": "x"}
    before = len(events(waiting))
    assert client.post(path, data=said, headers=headers).status_code == 403
    assert len(events(waiting)) == before


def test_nor_can_who_has_no_form_no_cookie_or_sends_too_much(waiting: str) -> None:
    site = make_site(actions=True)
    client = let_in(site)
    path = f"/runs/{waiting}/actions/abandon"
    said = {**hidden(client.get(path).text), "reason": "x"}
    before = len(events(waiting))
    for csrf in ("", "0" * 64, "é"):
        assert client.post(path, data={**said, "csrf": csrf}, headers=ORIGIN).status_code == 403
    assert client_of(site).post(path, data=said, headers=ORIGIN).status_code == 401
    much = client.post(path, data={**said, "reason": "x" * 70_000}, headers=ORIGIN)
    assert much.status_code == 413
    assert client.get(f"/runs/{waiting}/actions/destroy").status_code == 404
    assert client.put(path, data=said, headers=ORIGIN).status_code == 405
    assert len(events(waiting)) == before


def test_without_actions_there_is_nothing_to_do(waiting: str) -> None:
    client = let_in(make_site())
    assert "/actions/" not in client.get(f"/runs/{waiting}").text
    path = f"/runs/{waiting}/actions/abandon"
    assert client.get(path).status_code == 404
    csrf = make_site().access.csrf("")
    assert client.post(path, data={"csrf": csrf}, headers=ORIGIN).status_code == 404


def test_what_is_stuck_is_skipped_and_given_up(failed: str) -> None:
    client = let_in(make_site(actions=True))
    page = client.get(f"/runs/{failed}").text
    assert "actions/abandon" not in page, "it has ended"
    done = send(client, f"/runs/{failed}/actions/skip?step=servers", reason="by hand, hunter22")
    assert done.status_code == 303, done.text
    (skipped,) = (one for one in events(failed) if isinstance(one, ev.StepSkipped))
    assert skipped.reason == "by hand, [secret]"
    assert "hunter22" not in str(events(failed))
    refused = send(client, f"/runs/{failed}/actions/skip?step=none")
    assert (refused.status_code, "has no step" in refused.text) == (409, True)
    assert "seen</textarea>" in refused.text, "what was written is not lost"
    assert send(client, f"/runs/{failed}/actions/abandon").status_code == 303
    assert isinstance(events(failed)[-1], ev.RunFailed)


def test_what_has_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    saga = Saga("mail")
    saga.add_step("box", action=lambda: None, compensation="none")
    run = saga.run().run_id
    client = let_in(make_site(actions=True))
    assert "/actions/" not in client.get(f"/runs/{run}").text
    assert "there is nothing to rollback" in send(client, f"/runs/{run}/actions/rollback").text
    assert not (tmp_path / ".alma" / "logs" / run / "apart").exists()


def test_a_journal_of_somebody_else_is_not_acted_on(
    waiting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALMA_ACTOR", "jane")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    client = let_in(make_site(actions=True))
    refused = send(client, f"/runs/{waiting}/actions/approve?step=release")
    assert refused.status_code == 409
    assert "--trust" in refused.text
