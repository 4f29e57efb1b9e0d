"""The pytest plugin, in test runs of its own: what is up for a test is down after it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lives

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "alma.testing.plugin", "-p", "no:cacheprovider")

# A thing is a file; its stack is brought up by Pulumi's real engine.
THINGS = """
import os
import pathlib
import signal

import pulumi
import pytest
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from alma import Saga, SagaFailed

HERE = str(pathlib.Path(__file__).parent)

class Files(ResourceProvider):
    def create(self, props):
        if props["name"] == "broken":
            raise Exception("the quota is used up")
        path = pathlib.Path(HERE, props["name"] + ".thing")
        path.touch()
        return CreateResult(str(path), props)

    def delete(self, id, props):
        if pathlib.Path(HERE, "stuck").exists():
            raise Exception("it is still in use")
        pathlib.Path(id).unlink(missing_ok=True)

class Thing(Resource):
    def __init__(self, name):
        super().__init__(Files(), name, {"name": name})

def make(*names):
    saga = Saga("shop")
    for name in names:
        def program(name=name):
            Thing(name)
            pulumi.export("name", name)
        saga.add_stack(name, program)
    return saga

def call(name):
    # The same by callables, which need no Pulumi.
    path = pathlib.Path(HERE, name + ".thing")
    saga = Saga("call-" + name)
    saga.add_step(name, action=path.touch, compensation=path.unlink)
    return saga

def things():
    return sorted(path.stem for path in pathlib.Path(HERE).glob("*.thing"))
"""


@pytest.fixture
def tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, pulumi_cli: Path
) -> pytest.Pytester:
    """A place for a test run of its own, in which this checkout is found."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    monkeypatch.setenv("ALMA_TEST_PASSPHRASE", "never")  # the fixture's runs have one of its own
    monkeypatch.setenv("PATH", f"{pulumi_cli.parent}{os.pathsep}{os.environ['PATH']}")
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\n"
        "asyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    return pytester


def run(tests: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    """Run these tests in a process of their own."""
    tests.makepyfile(test_it=THINGS + text)
    return tests.runpytest_subprocess(*PLUGIN, *arguments, timeout=300)


def left(tests: pytest.Pytester) -> list[str]:
    return sorted(path.stem for path in tests.path.glob("*.thing"))


def test_whatever_becomes_of_a_test_its_sagas_are_down_after_it(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
def test_that_fails(deployed):
    result = deployed(make("a", "b"))
    assert result.outputs["b"]["name"] == "b"
    deployed(make("a"))  # the second one knows nothing of b: it must not be forgotten
    assert things() == ["a", "b"]
    raise AssertionError("as it should")

def test_saga_that_fails(deployed):
    assert things() == []
    with pytest.raises(SagaFailed) as failed:
        deployed(make("broken"))
    assert failed.value.result.state.name == "COMPENSATED"

async def test_async(deployed):
    saga = make("c")
    deployed(saga)
    assert things() == ["c"]
    deployed.destroy(saga)
    assert things() == []

def test_last(deployed):
    assert things() == []
""",
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: as it should*"])
    assert not left(tests)
    assert not list(tests.path.glob(".alma"))


def test_wider_scopes_keep_it_up_for_all_their_tests(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
@pytest.fixture(scope="session")
def base(session_deployed):
    return session_deployed(call("base"))

@pytest.fixture(scope="module")
def shop(base, module_deployed):
    return module_deployed(call("a"))

def test_one(shop):
    assert things() == ["a", "base"]

async def test_two(base, shop):
    assert things() == ["a", "base"]
    assert shop.state.name == "COMPLETED"
""",
    )
    result.assert_outcomes(passed=2)
    assert not left(tests)


def test_what_is_left_fails_the_test_by_name(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
def test_up(deployed):
    deployed(make("a"))
    pathlib.Path(HERE, "stuck").touch()

def test_call(deployed):
    def unsend():
        raise RuntimeError("the mail is sent")
    saga = Saga("mail")
    saga.add_step("send", action=dict, compensation=unsend)
    deployed(saga)
""",
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*mail/dev: step send: *the mail is sent*"])
    result.stdout.fnmatch_lines(
        ["*left after the test*", "*shop/dev: step a: shop-a/dev urn:*::a */a.thing: *in use*"]
    )
    assert left(tests) == ["a"]


def test_ctrl_c_undoes_the_run_and_ends_the_tests(tests: pytest.Pytester) -> None:
    """While a saga comes up, and in a test after that."""
    result = run(
        tests,
        """
def test_up(deployed):
    deployed(call("a"))
    saga = call("b")
    saga.add_step("stop", action=lambda: os.kill(os.getpid(), signal.SIGINT), compensation="none")
    saga.add_step("never", action=pathlib.Path("never").touch, compensation="none")
    try:
        deployed(saga)
    finally:
        pathlib.Path("seen").write_text(" ".join(things()))

def test_never():
    pathlib.Path("never").touch()
""",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert (tests.path / "seen").read_text() == "a"
    assert not (tests.path / "never").exists()
    assert not left(tests)


def test_a_start_of_pytest_loads_nothing_of_alma_but_the_plugin(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        test_it="""
import sys

def test_loaded():
    assert sorted(name for name in sys.modules if name.split(".")[0] == "alma") == [
        "alma", "alma.testing", "alma.testing.plugin"
    ]
    assert "pulumi" not in sys.modules
"""
    )
    tests.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_localstack_is_skipped_without_the_option_and_fails_where_there_is_none(
    tests: pytest.Pytester,
) -> None:
    tests.makepyfile(test_it="def test_it(alma_localstack):\n    pass\n")
    skipped = tests.runpytest_subprocess(*PLUGIN, "-rs")
    skipped.assert_outcomes(skipped=1)
    skipped.stdout.fnmatch_lines(["*needs a LocalStack: pytest --alma-localstack http*"])
    absent = tests.runpytest_subprocess(*PLUGIN, "--alma-localstack", "http://127.0.0.1:1")
    absent.assert_outcomes(errors=1)
    absent.stdout.fnmatch_lines(["*LocalStack at http://127.0.0.1:1 cannot be reached: *refused*"])
    wrong = tests.runpytest_subprocess(*PLUGIN, "--alma-localstack", "localhost")
    wrong.stdout.fnmatch_lines(["*--alma-localstack: 'localhost' is no URL of a LocalStack.*"])
