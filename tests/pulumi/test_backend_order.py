"""Which backend a run has, found out without a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alma.errors import AuthenticationError
from alma.pulumi.backend import Backend, absolute, is_same, moved

CLOUD = "https://api.pulumi.com"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A PULUMI_HOME that is logged in at a bucket."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "credentials.json").write_text(json.dumps({"current": "s3://login", "accounts": {}}))
    return home


@pytest.mark.parametrize(
    ("environ", "asked", "kept", "url", "own"),
    [
        ({"PULUMI_BACKEND_URL": "s3://env"}, "s3://saga", "s3://kept", "s3://env", "s3://env"),
        ({}, "s3://saga", "s3://kept", "s3://kept", "s3://own"),
        ({}, "s3://saga", "", "s3://saga", "s3://own"),
        ({}, "s3://saga", "postgres://me:[secret]@host/db", "s3://saga", "s3://own"),
        ({}, "", "", "s3://login", "s3://own"),
        ({"PULUMI_HOME": "none"}, "", "", "DEFAULT", "s3://own"),
        ({"PULUMI_HOME": "none", "PULUMI_ACCESS_TOKEN": "t"}, "", "", CLOUD, "s3://own"),
        (
            {"PULUMI_HOME": "none", "PULUMI_ACCESS_TOKEN": "t", "PULUMI_API": "https://own"},
            *("", "", "https://own", "s3://own"),
        ),
    ],
)
def test_the_order(
    home: Path, environ: dict[str, str], asked: str, kept: str, url: str, own: str
) -> None:
    """What the environment says, the run that goes on, the saga, the login, the default.

    Only the environment goes before what a project says of its own.
    """
    cwd = home.parent
    chosen = Backend.choose(cwd, {"PULUMI_HOME": str(home), **environ}, asked=asked, kept=kept)
    assert chosen.url == url.replace("DEFAULT", (cwd / ".alma" / "state").as_uri())
    assert chosen.of("s3://own").url == own
    assert chosen.of("").url == chosen.url


def test_where_the_login_is_looked_for(home: Path) -> None:
    environ = {"PULUMI_HOME": "none", "PULUMI_CREDENTIALS_PATH": str(home)}
    assert Backend.choose(home, environ).url == "s3://login"
    (home / ".pulumi").mkdir()
    (home / "credentials.json").rename(home / ".pulumi" / "credentials.json")
    assert Backend.choose(home, {"HOME": str(home)}).url == "s3://login"


@pytest.mark.parametrize("text", ['{"$pulumiSecureStore": 1}', "nonsense", "[]"])
def test_a_login_that_cannot_be_read_is_no_default(home: Path, text: str) -> None:
    """A stack would be made a second time."""
    (home / "credentials.json").write_text(text)
    with pytest.raises(AuthenticationError, match="set PULUMI_BACKEND_URL"):
        Backend.choose(home, {"PULUMI_HOME": str(home)})


def test_a_projects_relative_files_are_meant_from_its_directory(tmp_path: Path) -> None:
    assert absolute("file://./team", tmp_path, {}) == (tmp_path / "team").as_uri()
    assert absolute("file://~", tmp_path, {"HOME": "/home/me"}) == "file:///home/me"
    assert absolute("s3://bucket", tmp_path, {}) == "s3://bucket"


def test_a_default_state_brings_its_passphrase(tmp_path: Path) -> None:
    """Wherever it is used from."""
    (tmp_path / "a" / ".alma" / "state").mkdir(parents=True)
    there = (tmp_path / "a" / ".alma" / "state").as_uri()
    chosen = Backend.choose(tmp_path / "b", {"PULUMI_BACKEND_URL": there})
    assert chosen.own_passphrase == tmp_path / "a" / ".alma" / "passphrase"


def test_what_is_the_same_backend(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_same(tmp_path.as_uri(), f"{(tmp_path / 'link').as_uri()}?no_tmp_dir=true")
    assert not is_same("file:///a", "file:///b")
    assert not is_same("s3://a", "s3://b")
    assert not is_same("s3://a", "file:///a")


def test_a_default_state_moves_with_its_directory(tmp_path: Path) -> None:
    """Where it has gone from there, and came along with the journal."""
    new = tmp_path / "new" / ".alma"
    old = (tmp_path / "old" / ".alma" / "state").as_uri()
    assert moved(old, new / "journal.db") == old
    (new / "state").mkdir(parents=True)
    assert moved(old, new / "journal.db") == (new / "state").as_uri()
    assert moved("file:///gone/team", new / "journal.db") == "file:///gone/team"
    (tmp_path / "old" / ".alma" / "state").mkdir(parents=True)
    assert moved(old, new / "journal.db") == old
