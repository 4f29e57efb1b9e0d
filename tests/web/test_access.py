"""Who is let in, from where, and what a browser is told with every answer."""

from __future__ import annotations

import pytest

from alma.web.access import Access, is_from
from tests.web.client import HOME, client_of, let_in, make_site


def test_the_token_opens_once_and_is_in_no_address_after_that(failed: str) -> None:
    site = make_site()
    client = client_of(site)
    assert client.get("/").status_code == 401
    opened = client.get(f"/runs/{failed}", params={"events": "all", "token": site.access.token})
    assert (opened.status_code, opened.headers["location"]) == (303, f"/runs/{failed}?events=all")
    cookie = opened.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    assert site.access.token not in cookie
    assert client.get("/").status_code == 200
    assert site.access.token not in client.get("/").text
    # A browser that was started is let in by a code, once.
    site.codes.add("c0de")
    assert client_of(site).get("/?code=c0de").status_code == 303
    assert client_of(site).get("/?code=c0de").status_code == 401
    assert client_of(site).get("/?code=").status_code == 401
    # What leads away: a path of two slashes is another host's.
    away = client.get(f"{HOME}//evil.example/", params={"token": site.access.token})
    assert away.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("given", ["", "x", "0" * 64, "é"])
def test_nobody_else_is_let_in(failed: str, given: str) -> None:
    client = client_of(make_site())
    for path in ("/", f"/runs/{failed}", f"/runs/{failed}/events", f"/runs/{failed}/logs", "/no"):
        assert client.get(path, params={"token": given}).status_code == 401
        raw = {"cookie": f"alma-ui-2562={given}".encode()}
        refused = client.get(path, headers=raw)  # type: ignore[arg-type]
        assert refused.status_code == 401
        assert failed not in refused.text.replace(path, "")


def test_who_is_not_let_in_learns_nothing_of_the_journal(failed: str) -> None:
    client = client_of(make_site())
    for path in ("/static/none", f"/static/../runs/{failed}", "/static/..%2f..%2fapp.py", "/%00"):
        answer = client.get(f"{HOME}{path}")
        assert answer.status_code in (400, 401, 404), path
        assert "journal.db" not in answer.text
        assert failed not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:2562", 200),
        ("localhost:2562", 200),
        ("[::1]:2562", 200),
        ("evil.example:2562", 403),
        ("127.0.0.1.evil.example:2562", 403),
        ("127.0.0.1:80", 403),
        ("localhost", 403),
        ("10.0.0.5:2562", 403),
        ("", 403),
    ],
)
def test_it_answers_to_its_own_name_alone(failed: str, host: str, status: int) -> None:
    assert failed
    assert let_in(make_site()).get("/", headers={"host": host}).status_code == status
    # Not even its look, and not by the token.
    site = make_site()
    static = client_of(site).get("/static/ui.css", headers={"host": host})
    assert static.status_code == status


def test_on_an_open_address_it_is_known_by_addresses_and_by_what_it_is_told() -> None:
    access = Access(host="0.0.0.0", port=2562, names=frozenset({"alma.example.com"}))  # noqa: S104
    assert access.url == "http://localhost:2562/"
    for host in ("10.0.0.5:2562", "localhost:2562", "alma.example.com", "alma.example.com:8443"):
        assert access.is_own(host), host
    for host in ("10.0.0.5", "evil.example:2562", "xalma.example.com"):
        assert not access.is_own(host), host


def test_every_answer_forbids_what_no_page_of_ours_does(failed: str) -> None:
    client = let_in(make_site())
    paths = ("/", f"/runs/{failed}", "/static/live.js", "/static/run.css", "/no", "/runs/no")
    answers = [*map(client.get, paths), client_of(make_site()).get("/"), client.post("/")]
    answers.append(client.get("/", headers={"host": "evil.example"}))
    assert [one.status_code for one in answers] == [200, 200, 200, 200, 404, 404, 401, 403, 403]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def test_a_proxy_says_who_asks_and_nobody_else_is_let_in(failed: str) -> None:
    assert failed
    client = client_of(make_site(user_header="x-forwarded-user", names=frozenset({"alma.test"})))
    assert client.get("/").status_code == 401
    assert client.get("/", headers={"x-forwarded-user": " "}).status_code == 401
    named = {"x-forwarded-user": "jane", "host": "alma.test"}
    assert client.get("/", headers=named).status_code == 200
    twice = [("x-forwarded-user", "jane"), ("x-forwarded-user", "root")]
    assert client.get("/", headers=twice).status_code == 401


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "file://127.0.0.1:2562"])
def test_an_origin_is_the_pages_own(origin: str) -> None:
    assert not is_from(origin, "127.0.0.1:2562")
    assert is_from(HOME, "127.0.0.1:2562")
