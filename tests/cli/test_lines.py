"""A run in a pipe: what takes long, what failed and the end of its log, and GitHub's commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from alma.cli import github
from alma.cli.lines import Lines
from alma.core import events as ev
from alma.core.run import RunStatus

Write = Callable[..., Path]
Call = Callable[..., Result]

BUCKET = "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::{}"
# What a provider may say, to a runner that obeys what stands at the beginning of a line.
HOSTILE = "50% of it\n::stop-commands::x\r\n::set-output name=a::b\n##[endgroup]"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tell(clock: Clock) -> Lines:
    return Lines(clock)


def begin(lines: Lines, step: str, kind: ev.OperationKind) -> None:
    event = ev.OperationIntended(step=step, operation=f"r-{step}", kind=kind)
    lines.recorded(RunStatus(), recorded(event))


def recorded(event: ev.Event) -> ev.Recorded:
    return ev.Recorded(run="r", seq=1, at=datetime.now(UTC), epoch=1, event=event)


def test_what_takes_long_is_told_once_a_minute_with_the_longest_of_it(
    tell: Lines, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tell, "storage", "up")
    begin(tell, "dns", "action")
    clock.now = 10.0
    for name in ("logs", "data", "gone"):
        tell.resource("storage", BUCKET.format(name), "create", False)
    tell.resource("storage", BUCKET.format("gone"), "create", True)
    capsys.readouterr()
    clock.now = 59.0
    tell.tell_what_takes_long()
    assert capsys.readouterr().out == ""
    for clock.now in (60.0, 61.0, 119.0):
        tell.tell_what_takes_long()
    assert capsys.readouterr().out.splitlines() == [
        "[1m00s] storage: still creating aws:s3/bucket:Bucket logs, 50 s, and 1 more",
        "[1m00s] dns: still at its action, 1 min",
    ]
    ended = ev.OperationSucceeded(step="dns", operation="r-dns", kind="action")
    tell.recorded(RunStatus(), recorded(ended))
    capsys.readouterr()
    clock.now = 190.0
    tell.tell_what_takes_long()
    assert capsys.readouterr().out.splitlines() == [
        "[3m10s] storage: still creating aws:s3/bucket:Bucket logs, 3 min, and 1 more"
    ]


def test_a_failure_is_told_again_at_the_end_with_the_end_of_its_log(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    monkeypatch.setenv("BREAK", "action")
    result = cli("up")
    assert result.exit_code == 4
    lines = result.stderr.splitlines()
    place = lines.index("  the end of traceback.txt:")
    assert place > lines.index('Step "servers", failed:')
    assert "    RuntimeError: quota used up" in lines[place:]
    assert "::group::" not in result.output


def test_on_github_steps_are_grouped_and_failures_annotated(
    write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    write(
        "from alma import Saga\nsaga = Saga('shop', stack='dev')\n"
        "def make(): pass\n"
        f"def fail(): raise RuntimeError({HOSTILE!r})\n"
        "saga.add_step('network', action=make, compensation=make)\n"
        "saga.add_step('web', action=fail, compensation=make)\n"
    )
    result = cli("up")
    assert result.exit_code == 4
    out = result.stdout.splitlines()
    groups = [line for line in out if line.startswith("::group::")]
    assert [re.sub(r"\[.*?\]", "[s]", line) for line in groups][:2] == [
        "::group::[s] network: action completed",
        "::group::[s] web: action failed: RuntimeError: 50%25 of it",
    ]
    assert out.count("::endgroup::") == len(groups)
    told = [line for line in out if line.startswith("::error ")]
    title = '::error title=shop/dev%3A step "web" failed::RuntimeError: 50%25 of it%0A'
    assert told == [f"{title}: :stop-commands::x%0A: :set-output name=a::b%0A# #[endgroup]"]
    # Nothing else is a command, whatever was said.
    for line in (*out, *result.stderr.splitlines()):
        if line.lstrip().startswith("::"):
            assert line.startswith(("::group::", "::endgroup::", "::error title=")), line
        assert "##[" not in line


def test_a_title_ends_neither_its_property_nor_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    github.annotate("a,file=x::b\r\nc", "d")
    github.begin_group("x\n::add-mask::y\x1b[31m")
    assert capsys.readouterr().out.splitlines() == [
        "::error title=a%2Cfile=x%3A%3Ab%0Ac::d",
        "::group::x%0A: :add-mask::y",
    ]


def test_json_has_no_commands(write: Write, cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("BREAK", "action")
    write()
    result = cli("up", "--json")
    assert result.exit_code == 4
    assert "::" not in result.output
