"""Typed config, secret config, and where secrets must not be found."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil

from alma.core.secret import Secret, unwrap
from alma.pulumi.engine import StackRef
from alma.pulumi.project import write_settings
from tests.pulumi import programs
from tests.pulumi.conftest import Place

if TYPE_CHECKING:
    import pytest

CANARY = 'CANARY "7" + ü/&'
SPELLINGS = {
    CANARY,
    json.dumps(CANARY)[1:-1],
    quote(CANARY, safe=""),
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
}


async def test_config_keeps_its_types(place: Place) -> None:
    """Numbers, booleans, lists and objects, as Pulumi's own readers want them."""
    config = {
        "port": 8080,
        "ratio": 1.5,
        "flag": True,
        "names": ["a", 1, True, "0o17"],
        "tree": {"a": {"b": [1, "1"]}, "c": "yes"},
        "text": "a: b # ü \U0001f600\nsecond",
        "number_like": "0123",
        "other:key": "of another namespace",
    }
    result = await place.up(programs.typed, config=config)
    assert result.failure is None, result.failure
    assert result.outputs == {
        **{key: value for key, value in config.items() if ":" not in key},
        "other": "of another namespace",
    }


async def test_large_integers_arrive_as_they_are(place: Place) -> None:
    """Beyond 2^53, where no double of Pulumi's is between: alone, in objects, as a secret."""
    large = 2**53 + 1

    def program() -> None:
        import pulumi

        config = pulumi.Config()
        pulumi.export("alone", str(config.require_int("alone")))
        pulumi.export("tree", str(config.require_object("tree")["a"][0]))
        secret = config.require_secret_int("secret")
        pulumi.export("secret", pulumi.Output.unsecret(secret).apply(str))

    config = {"alone": large, "tree": {"a": [large]}, "secret": Secret(large)}
    result = await place.up(program, config=config)
    assert result.failure is None, result.failure
    told = {key: unwrap(value) for key, value in result.outputs.items()}
    assert told == dict.fromkeys(config, str(large))


async def test_an_output_that_is_null_is_one(place: Place) -> None:
    """The SDK does not send it, so the state does not have it; a secret one it has."""

    def program() -> None:
        import pulumi

        pulumi.export("none", None)
        pulumi.export("later", pulumi.Output.from_input("x").apply(lambda _: None))
        pulumi.export("hidden", pulumi.Output.secret(None))
        pulumi.export("one", 1)

    result = await place.up(program)
    assert result.failure is None, result.failure
    outputs = dict(result.outputs)
    assert isinstance(outputs.pop("hidden"), Secret)
    assert outputs == {"none": None, "later": None, "one": 1}


async def test_config_that_is_no_longer_given_is_gone(place: Place) -> None:
    """The settings file holds what this request says and nothing else."""

    def program() -> None:
        import pulumi

        pulumi.export("value", pulumi.Config().get("once") or "none")

    await place.up(program, config={"once": "x"})
    assert (await place.up(program)).outputs == {"value": "none"}


async def test_nested_secrets_are_sealed_and_can_be_revealed(place: Place) -> None:
    """At the top, in an object, in a list."""
    result = await place.up(programs.outputs)
    assert result.outputs == {
        "plain": {"list": [1, 2.5, True, None, "x"]},
        "top": Secret.sealed(),
        "object": {"inner": Secret.sealed(), "open": 1},
        "list": [Secret.sealed(), "open"],
    }
    revealed = await place.engine.reveal(place.ref())
    assert revealed["top"] == Secret("CANARY-top")
    assert revealed["object"] == {"inner": Secret("CANARY-inner"), "open": 1}
    assert revealed["list"] == [Secret({"deep": "CANARY-deep"}), "open"]
    assert not _found(place.root.parent, {"CANARY-top", "CANARY-inner", "CANARY-deep"})


async def test_a_secret_input_is_in_no_file_and_no_argv(place: Place) -> None:
    """As a program's own secret, in an object, and for another namespace, printed and exported."""
    config = {
        "token": Secret(CANARY),
        "parts": {"user": "me", "password": Secret(CANARY)},
        "other:hidden": Secret(CANARY),
    }
    seen: set[str] = set()
    watching = asyncio.create_task(_watch_processes(seen))
    result = await place.up(programs.secretive, config=config)
    watching.cancel()
    assert result.failure is None, result.failure
    assert result.outputs["sealed"] == Secret.sealed()
    assert result.outputs["parts"] == Secret.sealed()
    assert result.outputs["other"] == Secret.sealed()
    # The program made plain text of it: not ours to change in the state, but to keep to ourselves.
    assert isinstance(result.outputs["open"], Secret)
    state = place.root / ".alma" / "state"
    assert not _found(place.root.parent, SPELLINGS, leaving_out=state)
    assert not any(spelling in line for line in seen for spelling in SPELLINGS)
    assert any("config set --secret" in line for line in place.commands())
    revealed = await place.engine.reveal(place.ref())
    assert revealed["sealed"] == Secret(CANARY)
    assert revealed["other"] == Secret(CANARY)


async def test_a_program_gets_its_secrets_without_a_further_process(place: Place) -> None:
    """Those of its own namespace never leave its process."""
    await place.up(programs.secretive, config={"token": Secret("CANARY-1"), "parts": Secret({})})
    assert not any("config" in line.split(" --")[0] for line in place.commands())


async def test_what_alma_writes_is_for_its_user_alone(place: Place) -> None:
    """State, logs, settings and the passphrase, whatever the umask."""
    await place.up(programs.one)
    for root in (place.root / ".alma", place.root / "logs"):
        for path in root.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0 or path.is_dir(), path
    assert (place.root / ".alma" / "state").stat().st_mode & 0o077 == 0
    assert (place.root / ".alma" / "passphrase").stat().st_mode & 0o777 == 0o600


async def test_a_lost_settings_file_is_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """How the secrets are encrypted is in the state as well."""
    await place.up(programs.outputs)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert (await place.up(programs.outputs)).failure is None
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "third"))
    assert (await place.destroy()).failure is None


def test_the_users_settings_are_kept_as_they_are(tmp_path: Path) -> None:
    """Their values, types, encryption and environments; alma's config goes over them."""
    work = tmp_path / "project"
    work.mkdir()
    (work / "Pulumi.yaml").write_text("name: demo\nruntime: yaml\n")
    (work / "Pulumi.dev.yaml").write_text(
        "encryptionsalt: v1:abc\nenvironment:\n  - team\nconfig:\n  demo:port: 0123\n"
        "  size: big\n  demo:secret:\n    secure: v1:xyz\n  aws:region: eu-west-1\n"
    )
    target = tmp_path / "own"
    target.mkdir()
    ref = StackRef(project="demo", stack="dev", work_dir=str(work))
    path = write_settings(target, ref, {"demo:size": "small", "demo:n": 1}, fresh=True)
    assert path.read_text() == (
        '"encryptionsalt": v1:abc\n"environment":\n- team\n"config":\n  "demo:port": 0123\n'
        '  "demo:secret":\n    secure: v1:xyz\n  "aws:region": eu-west-1\n'
        '  "demo:size": "small"\n  "demo:n": 1\n'
    )
    assert path.stat().st_mode & 0o777 == 0o600


def _found(root: Path, needles: set[str], leaving_out: Path | None = None) -> list[Path]:
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and not (leaving_out and path.is_relative_to(leaving_out))
        and any(needle in path.read_text(errors="replace") for needle in needles)
    ]


async def _watch_processes(seen: set[str]) -> None:
    while True:
        for process in psutil.process_iter(["cmdline"]):
            seen.add("\0".join(process.info["cmdline"] or ()))
        await asyncio.sleep(0.05)
