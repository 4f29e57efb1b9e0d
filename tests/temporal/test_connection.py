"""TLS, API key and namespace, as Temporal's own SDK and CLI are told of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from alma.cli.program import program
from alma.core.run import SagaState
from tests.services.gate import Certificates, Gate, certificates, gate
from tests.services.temporal import Temporal
from tests.temporal.stage import Stage
from tests.waiting import until

KEY = "canary-of-an-api-key"


@pytest.fixture
def shown(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def door(temporal: Temporal, shown: Certificates) -> Iterator[Gate]:
    with gate(temporal.address, shown, key=KEY) as found:
        yield found


def told(door: Gate, shown: Certificates) -> dict[str, str]:
    """What the environment says of it."""
    return {
        "ALMA_TEMPORAL": "",
        "TEMPORAL_ADDRESS": door.address,
        "TEMPORAL_API_KEY": KEY,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(shown.authority),
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(shown.client),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(Certificates.key_of(shown.client)),
    }


STEPS = """
def do_a(c):
    note("do a")
    raise RuntimeError("its key is " + os.environ["TEMPORAL_API_KEY"])
def undo_a(c): note("undo a")
saga.add_step("a", do_a, undo_a)
"""


def test_a_run_goes_through_tls_with_an_api_key_which_is_told_to_nobody(
    stage: Stage, door: Gate, shown: Certificates
) -> None:
    """Not even where a step gives it away. One that is not taken for a while ends no run."""
    stage.write(STEPS)
    stage.hold("do a")
    environment = told(door, shown)
    stage.worker(**environment)
    up = stage.begin(**{**environment, "ALMA_TEMPORAL": door.address})
    stage.begun("do a")
    assert {key for _, key in door.said} == {f"Bearer {KEY}"}
    assert any(method.endswith("/StartWorkflowExecution") for method, _ in door.said)
    door.keys.clear()
    assert stage.ended(up) == 8, "it is half way, and goes on by itself"
    door.keys.add(KEY)
    stage.let_go("do a")
    until(lambda: stage.run.state.is_final, lambda: f"the run ends {stage.said()}")
    assert stage.run.state is SagaState.COMPENSATED
    assert stage.notes == ["do a", "undo a"]
    history = stage.call("history", "latest")
    assert "its key is" in history.stdout
    files = [path for path in stage.directory.rglob("*") if path.is_file()]
    texts = {path.name: path.read_bytes() for path in files}
    assert b"Request unauthorized" in texts["command-1.log"]
    assert [name for name, text in texts.items() if KEY.encode() in text] == []
    assert KEY not in history.stdout + history.stderr + stage.exported()


WRONG = {
    "its key": ({"TEMPORAL_API_KEY": "another one"}, 3, "does not let this client in"),
    "its authority": ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "b-authority.pem"}, 1, "UnknownIssuer"),
    "no certificate of its own": (
        {"TEMPORAL_TLS_CLIENT_CERT_PATH": "", "TEMPORAL_TLS_CLIENT_KEY_PATH": ""},
        1,
        "cannot be reached",
    ),
    "no TLS": (
        {
            "TEMPORAL_API_KEY": "",
            "TEMPORAL_TLS": "false",
        },
        1,
        "cannot be reached",
    ),
    "a file that is not there": ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "nobody"}, 2, "cannot be"),
    "its namespace": ({"TEMPORAL_NAMESPACE": "nobodys"}, 2, "no namespace nobodys"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("command", ["worker", "up"])
def test_what_is_wrong_with_a_connection_is_one_sentence(
    command: str,
    wrong: str,
    stage: Stage,
    door: Gate,
    shown: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificates(stage.directory, "b")
    variables, code, words = WRONG[wrong]
    for name, value in {**told(door, shown), **variables}.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    said = CliRunner().invoke(program, [command, "saga.py", "--temporal", door.address])
    assert said.exit_code == code, said.output
    (error,) = [line for line in said.stderr.splitlines() if line.startswith("error: ")]
    assert words in error
    assert KEY not in said.output
