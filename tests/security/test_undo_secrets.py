"""Who undoes knows what who did knew: no secret in a provider's words, and none in a traceback."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from alma import Saga, SagaFailed, Secret, rollback
from alma.core.events import IN_DOUBT, Failure, ResourceChange
from alma.core.redaction import Redactor
from alma.journal import open_journal
from alma.pulumi.checkpoint import SECRET_SIGNATURE, SIGNATURE
from alma.pulumi.told import hidden
from alma.runner.rekey import rekey
from alma.runner.settings import Settings
from alma.runner.start import up
from alma.system.environment import secrets_in_environment
from alma.testing import FakeEngine
from tests.runner.helpers import ended, program
from tests.steps.conftest import CANARY, Place
from tests.waiting import until

MADE = f"made-{CANARY[::-1]}"
"""What the provider makes of the secret, and nobody but the state knows."""

SAGA = """
import os
import time
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import Saga, Secret

HERE = {here!r}


class Database(ResourceProvider):
    def create(self, props):
        if props["holds"]:
            Path(HERE, "begun").touch()
            while not Path(HERE, "gate").exists():
                time.sleep(0.05)
            raise RuntimeError(f"no login with {{props['token']}}")
        return CreateResult("db-1", {{**props, "password": "made-" + props["token"][::-1]}})

    def delete(self, _id, props):
        if not Path(HERE, "gate").exists():
            made = props["password"].encode().hex()
            raise RuntimeError(f"no login with {{props['token']}}, {{made}}")


class Held(Resource):
    def __init__(self, name, props, options):
        super().__init__(Database(), name, props, options)


def database():
    config = pulumi.Config()
    props = {{"password": None, "holds": config.get("holds")}}
    props["token"] = config.require_secret("token")
    options = pulumi.ResourceOptions(additional_secret_outputs=["password", "token"])
    Held("db", props, options)


def no():
    raise RuntimeError("no")


token = os.environ.get("WORD", "changed-since-then")
saga = Saga("shop", stack="dev")
config = {{"token": Secret(token), "holds": os.environ.get("HOLDS", "")}}
saga.add_stack("db", database, config=config)
if os.environ.get("FAILS"):
    saga.add_step(no, "none", name="last")
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def written(place: Place) -> Path:
    path = place.root / "saga.py"
    path.write_text(SAGA.format(here=str(place.root)))
    return path


def clean(place: Place, said: str) -> None:
    """Nothing on disk and nothing on the terminal holds either secret."""
    for word in (CANARY, MADE, MADE.encode().hex()):
        assert word not in said
        assert place.holding(word) == []


@pytest.mark.usefixtures("pulumi_cli")
def test_the_undo_of_another_process_masks_what_the_run_knew(place: Place, written: Path) -> None:
    """The secrets come from the journal, and those that the provider made from the state."""
    code, said = place.alma("up", "saga.py", WORD=CANARY, FAILS="1")
    assert (code, "no login with [secret], [secret]" in said) == (10, True), said
    clean(place, said)
    written.unlink()
    code, said = place.alma("rollback", "latest")
    assert (code, "no login with [secret], [secret]" in said) == (10, True), said
    clean(place, said)
    (place.root / "gate").touch()
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    clean(place, said)


@pytest.mark.usefixtures("pulumi_cli", "written")
def test_a_destroy_masks_secrets_that_were_changed_since(place: Place) -> None:
    assert place.alma("up", "saga.py", WORD=CANARY)[0] == 0
    code, said = place.alma("destroy", "saga.py")
    assert (code, "no login with [secret], [secret]" in said) == (10, True), said
    clean(place, said)


@pytest.mark.usefixtures("pulumi_cli")
@pytest.mark.parametrize("way", ["rollback", "abandon --reason gone"])
def test_the_log_of_a_killed_runner_is_cleaned(place: Place, written: Path, way: str) -> None:
    """The CLI goes on alone, and writes down what its provider says."""
    runner = place.start("up", "saga.py", WORD=CANARY, HOLDS="yes")
    until((place.root / "begun").exists)
    place.kill(runner)
    (place.root / "gate").touch()
    until(lambda: place.holding(CANARY))
    until(lambda: not list(place.root.rglob("locks/organization/*/*/*.json")))
    written.unlink()
    code, said = place.alma(*way.split(), "latest")
    assert code in (4, 10), said
    clean(place, said)


# -- what is told of a run ------------------------------------------------------------------------


async def test_no_traceback_shows_a_secret(place: Place) -> None:
    """Not by the exception that is chained; one without secrets is chained as it is."""

    def login() -> None:
        raise ConnectionError(f"no login with {CANARY}")

    for told in (True, False):
        saga = Saga("s", stack="told" if told else "kept")
        inputs = {"p": Secret(CANARY)} if told else {}
        saga.add_step("login", action=login, compensation="none", inputs=inputs)
        with pytest.raises(SagaFailed) as failed:
            await saga.execute()
        text = "".join(traceback.format_exception(failed.value))
        assert ("no login with [secret]" in text, CANARY in text) == (told, not told)
        assert isinstance(failed.value.__cause__, ConnectionError) is not told
    del place


URN = f"urn:pulumi:dev::s-a::fake:index:Thing::{CANARY}"


class Leaking(FakeEngine):
    """Its resources have a secret in their names; of one nobody knows whether it was made."""

    async def up(self, *arguments: Any) -> Any:
        result = await super().up(*arguments)
        made = ResourceChange(urn=URN, op="create", id=CANARY.lower())
        failure = Failure(kind="provider", message="connection reset")
        doubt = ResourceChange(urn=URN, op=IN_DOUBT)
        return replace(result, resources=(made, doubt), failure=failure)


async def test_names_and_ids_are_shown_without_secrets_and_used_as_they_are(journal: Path) -> None:
    """Those of resources, of outputs, and of what is left; by the next process, and a new key."""
    asked: list[str] = []

    def saga() -> Saga:
        saga = Saga("s", on_failure="stop")
        make = saga.add_step("make", action=lambda: {CANARY: 1, "x": CANARY}, compensation="none")
        inputs = {"p": Secret(CANARY), "x": make.output("x")}

        def find(pending: Any) -> None:
            asked.append(pending.urn)

        saga.add_stack("a", program=program, inputs=inputs, resolver=find)
        return saga

    engine = Leaking()
    result = await ended(up(saga(), settings=Settings(engine=engine, journal=journal)))
    assert (result.state.name, asked) == ("FAILED", [URN])
    rekey(Settings(journal=journal))
    again = Settings(engine=engine.restarted(), journal=journal)
    result = await ended(rollback(saga=saga(), settings=again))
    assert (result.state.name, asked) == ("COMPENSATED", [URN, URN])
    with open_journal(journal, write=False) as reader:
        events = [repr(entry.event) for entry in reader.events(reader.resolve("latest"))]
    for spelling in (CANARY, CANARY.lower()):
        assert not [event for event in events if spelling in event]
    assert any("Thing::[secret]" in event for event in events)


def test_an_id_is_shown_though_another_resource_keeps_it_as_a_secret() -> None:
    """Else what is left would have no name: AWS keeps what a parameter holds as a secret."""
    arn, word = "arn:aws:secretsmanager:eu-west-1:1:secret:x", "correct horse"
    sealed = [{SIGNATURE: SECRET_SIGNATURE, "plaintext": f'"{one}"'} for one in (arn, word)]
    resources = [
        {"urn": "a", "type": "aws:secretsmanager/secret:Secret", "id": arn},
        {"urn": "b", "type": "aws:ssm/parameter:Parameter", "id": "/x", "inputs": {"v": sealed}},
    ]
    assert [secret.value for secret in hidden({"resources": resources})] == [word]


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("a<b>&'\"c", "a&lt;b&gt;&amp;&#x27;&quot;c"),
        ("a<b>&'\"c", "a&lt;b&gt;&amp;&#39;&#34;c"),
        ("a<b>&c", "a\\u003cb\\u003e\\u0026c"),
        ("p/ä+ b", "p%2f%c3%a4%2b%20b"),
        ("p/ä+ b", "p/%C3%A4%2B%20b"),
        (CANARY, CANARY.lower()),
        (CANARY, CANARY.upper()),
        (CANARY, CANARY.encode().hex()),
        (CANARY, CANARY.encode().hex().upper()),
    ],
)
def test_a_secret_is_known_however_it_is_written(secret: str, text: str) -> None:
    redact = Redactor()
    redact.learn(Secret(secret))
    assert redact(f"<{text}>") == "<[secret]>"


def test_credentials_of_the_environment_are_known() -> None:
    """By their names; a word, a path and what is no secret are left in."""
    value = "s3cr3t-value-1"
    names = [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "ARM_CLIENT_SECRET",
        "GITHUB_TOKEN",
        "PGPASSWORD",
        "PULUMI_ACCESS_TOKEN",
        "CLOUDFLARE_API_KEY",
        "TF_VAR_db_password",
        "ALMA_JOURNAL_KEY",
        "DOCKER_AUTH_TOKEN_1",
    ]
    assert len(secrets_in_environment(dict.fromkeys(names, value))) == len(names)
    others = ["AWS_ACCESS_KEY_ID", "PULUMI_CONFIG_PASSPHRASE_FILE", "HOME", "TOKENIZERS", "KEYMAP"]
    assert secrets_in_environment(dict.fromkeys(others, value)) == ()
    assert secrets_in_environment({"AWS_SECRET_ACCESS_KEY": "test"}) == ()
    assert secrets_in_environment({"GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json"}) == ()


async def test_what_an_action_says_of_the_environment_is_masked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)

    def login() -> None:
        raise ConnectionError(f"SignatureDoesNotMatch for {CANARY}")

    saga = Saga("s")
    saga.add_step("login", action=login, compensation="none")
    with pytest.raises(SagaFailed, match=r"SignatureDoesNotMatch for \[secret\]"):
        await saga.execute()
    assert place.holding(CANARY) == []
