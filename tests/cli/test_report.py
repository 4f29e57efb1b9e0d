"""Reports of a run: `--report FILE`, `report RUN`, and the summary of a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result
from junitparser import Error, Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt

from alma.reports.formats import schema
from tests.cli.tools import SAGA

Write = Callable[..., Path]
Call = Callable[..., Result]

HOSTILE = (
    SAGA.replace("it is still in use", "<script>alert(1)</script> | `in` use @everyone\\n::stop::x")
    + """
saga.add_step("dns", action=use, compensation=unuse, after=["servers"])
"""
)


def reported(cli: Call, *words: str, forms: str = "json md html xml") -> tuple[Result, list[str]]:
    files = [Path(f"made.{form}") for form in forms.split()]
    done = cli(*words, *(part for file in files for part in ("--report", str(file))))
    return done, [file.read_text() for file in files]


def valid(text: str) -> Any:
    document = json.loads(text)
    jsonschema.validate(document, schema(), jsonschema.Draft202012Validator)
    return document


@pytest.fixture
def failed(write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The four reports of a run that failed and could not be undone."""
    write(HOSTILE)
    monkeypatch.setenv("BREAK", "undo")
    done, texts = reported(cli, "up")
    assert done.exit_code == 10
    return texts


def test_the_json_report_of_a_failed_run_names_what_failed_and_what_is_left(
    failed: list[str],
) -> None:
    document = valid(failed[0])
    assert document["state"] == "FAILED"
    assert [step["state"] for step in document["steps"]] == ["COMPLETED", "FAILED", "PENDING"]
    assert [(one["kind"], one["outcome"]) for one in document["operations"]] == [
        ("action", "succeeded"),
        ("action", "failed"),
        ("compensation", "failed"),
    ]
    assert {one["step"] for one in document["leftovers"]} == {"database", "servers"}
    assert document["next"] == [f"alma-pulumi rollback {document['run']}"]
    assert "hunter22" not in "".join(failed)


def test_the_markdown_report_is_short_first_and_holds_no_markup_of_anybody_else(
    failed: list[str],
) -> None:
    assert failed[1].startswith("### shop/dev: FAILED\n")
    before_the_details = failed[1].partition("<details>")[0]
    assert "**Left behind:**" in before_the_details
    tokens = MarkdownIt("commonmark").enable("table").parse(failed[1])
    inline = [child for token in tokens for child in token.children or ()]
    html = [one.content for one in [*tokens, *inline] if one.type.startswith("html")]
    words = ("<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>")
    for part in html:
        left = part
        for word in words:
            left = left.replace(word, "")
        assert "<" not in left
    assert not [one for one in inline if one.type in ("link_open", "image")]
    outside = "".join(one.content for one in inline if one.type == "text")
    assert "@everyone" in outside, "it is shown ..."
    assert "@everyone" not in before_the_details, "... and mentions nobody"
    rows = [one for one in tokens if one.type == "tr_open"]
    assert len(rows) == 4, "a header and three steps: no cell ends where a provider says"
    assert "\n::stop" not in failed[1]


def test_the_page_needs_nothing_and_obeys_nothing(failed: list[str]) -> None:
    page = failed[2]
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "default-src 'none'" in page
    for way in ('http-equiv="refresh', "src=", "href=", "@import", "url("):
        assert way not in page.replace("url(#arrow)", "")
    for words in ("Left behind", "alma-pulumi rollback", "Time line", "<svg"):
        assert words in page


def test_the_junit_report_is_read_as_tests(failed: list[str]) -> None:
    (suite,) = JUnitXml.fromstring(failed[3].encode())
    assert suite.name == "shop/dev"
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (3, 0, 2, 1)
    database, servers, dns = suite
    assert [type(one) for one in servers.result] == [Error]
    assert "could not be undone" in servers.result[0].text
    assert [(type(one), one.message) for one in dns.result] == [(Skipped, "not started")]
    assert database.result[0].message.startswith("left behind: ")


def test_a_step_that_failed_and_is_undone_is_a_failure(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    monkeypatch.setenv("BREAK", "action")
    done, (document, junit) = reported(cli, "up", forms="json xml")
    assert done.exit_code == 4
    assert valid(document)["sentence"].endswith("everything it did is verified undone.")
    (suite,) = JUnitXml.fromstring(junit.encode())
    assert [type(one) for one in list(suite)[1].result] == [Failure]
    assert "quota" in list(suite)[1].result[0].message


def test_what_is_undone_does_not_expire(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there does, and a report says it."""
    write()
    _, texts = reported(cli, "up", "--ttl", "4h", forms="json md")
    assert valid(texts[0])["expires_at"] is not None
    assert "It expires" in texts[1]
    assert cli("destroy").exit_code == 0
    monkeypatch.setenv("BREAK", "servers")
    done, texts = reported(cli, "up", "--ttl", "4h", forms="json md")
    assert done.exit_code == 4
    assert valid(texts[0])["expires_at"] is None
    assert "xpires" not in texts[1]
    assert json.loads(cli("status", "--json").stdout)["expires_at"] is None


def test_every_kind_of_run_has_a_report_that_fits_the_schema(write: Write, cli: Call) -> None:
    write()
    done, (up,) = reported(cli, "up", forms="json")
    assert done.exit_code == 0, done.output
    assert valid(up)["sentence"] == "2 steps up."
    assert valid(up)["outputs"]["database"]["password"] == "[secret]"
    done, (destroy,) = reported(cli, "destroy", "--yes", forms="json")
    assert (done.exit_code, valid(destroy)["kind"]) == (0, "destroy")
    assert json.loads(cli("schema", "report").output) == json.loads(json.dumps(schema()))
    printed = cli("report", valid(up)["run"], "--json")
    assert valid(printed.output) == valid(up)
    assert cli("report").output.startswith("### shop/dev: COMPLETED\n")
    assert JUnitXml.fromstring(cli("report", "--format", "xml").output.encode()) is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [("run.pdf", "ends with none of .json, .md, .html, .xml"), ("gone/run.md", "is no directory")],
)
def test_what_could_not_be_written_is_refused_before_the_run(
    write: Write, cli: Call, tmp_path: Path, name: str, said: str
) -> None:
    write()
    refused = cli("up", "--report", name)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not (tmp_path / ".alma").exists()


def test_a_report_that_cannot_be_written_changes_nothing_of_the_run(
    write: Write, cli: Call, tmp_path: Path
) -> None:
    (tmp_path / "reports").mkdir()
    write(SAGA + "saga.add_step(lambda: os.rmdir('reports'), 'none', name='broom')\n")
    done = cli("up", "--report", "reports/run.md")
    assert done.exit_code == 0
    assert "warning: a report of this run was not written: No such file" in done.output


def test_a_job_of_github_actions_gets_each_run_on_its_page(
    write: Write, cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    cli("up")
    assert not summary.exists(), "nobody listens"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    cli("up")
    cli("destroy", "--yes")
    assert summary.read_text().count("### shop/dev: COMPLETED\n") == 2
