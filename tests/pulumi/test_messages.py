"""What the CLI and its plugins print, as failures; texts as Pulumi 3.259 prints them."""

from __future__ import annotations

import pytest

from alma.pulumi.doubts import lost_answer
from alma.pulumi.failures import readable, translate

STACK = "urn:pulumi:dev::demo::pulumi:pulumi:Stack::demo-dev"
BUCKET = "urn:pulumi:dev::demo::aws:s3/bucket:Bucket::logs"

TRACEBACK = """python inline source runtime error: no such region
Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/pulumi/automation/_server.py", line 95, in run
    loop.run_until_complete(run_in_stack(self.program))
  File "/home/me/infra/network.py", line 12, in subnets
    raise ValueError("no such region")
  File "/venv/lib/python3.11/site-packages/pulumi/runtime/stack.py", line 253, in run
    result = func()
ValueError: no such region
"""


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            (
                "error: the stack is currently locked by 1 lock(s). Either wait for the other "
                "process(es) to end or delete the lock file with `pulumi cancel`.\n"
                "  file:///x/lock.json: created by me@host (pid 7) at 2026-01-01T00:00:00Z"
            ),
            "locked",
            "me@host (pid 7)",
        ),
        (
            (
                "error: getting stack configuration: get stack secrets manager: failed to decrypt: "
                "incorrect passphrase, please set PULUMI_CONFIG_PASSPHRASE"
            ),
            "passphrase",
            "incorrect passphrase",
        ),
        (
            'error: unable to open state directory "file:///x": no such file or directory',
            "backend",
            "unable to open state directory",
        ),
        (
            # What 3.274 says of a service that does not answer, too.
            "error: this command requires logging in; try running `pulumi login` first",
            "backend",
            "requires logging in",
        ),
        (
            # Of Postgres, and of a bucket: a lock that went as it was looked at.
            (
                "error: could not create stack: could not list bucket: blob (code=NotFound): "
                "sql: no rows in result set"
            ),
            "locked",
            "no rows",
        ),
        (
            (
                "error: 2 errors occurred:\n    1) operation error S3: GetObject, https response "
                "error StatusCode: 404, RequestID: 1, HostID: 2, NoSuchKey: The specified key does "
                "not exist.\n    2) NotFound\n"
            ),
            "locked",
            "NoSuchKey",
        ),
        (
            # A bucket that is not there.
            (
                "error: error listing stacks: could not list bucket: blob (code=NotFound): "
                "operation error S3: ListObjectsV2, https response error StatusCode: 404, "
                "RequestID: 1, HostID: 2, NoSuchBucket: The specified bucket does not exist"
            ),
            "backend",
            "NoSuchBucket",
        ),
        ("error: unknown flag: --nope", "unknown", "unknown flag: --nope"),
        ("", "unknown", "without saying why"),
    ],
)
def test_what_the_cli_prints_has_a_kind(text: str, kind: str, words: str) -> None:
    failure = translate(text, (), interrupted=False, log="the.log")
    assert (failure.kind, failure.log) == (kind, "the.log")
    assert words in failure.message
    assert not failure.message.startswith("error:")
    assert failure.hint


def test_a_resources_error_comes_before_the_stacks() -> None:
    errors = [
        (STACK, "update failed"),
        (BUCKET, "<{%reset%}>error: BucketAlreadyExists: taken<{%reset%}>\n"),
        (BUCKET, "error: BucketAlreadyExists: taken"),
        (BUCKET + "2", "second"),
    ]
    failure = translate("", errors, interrupted=False, log="")
    assert failure.kind == "provider"
    assert failure.urn == BUCKET
    assert failure.message == "BucketAlreadyExists: taken (and 1 more)"


def test_a_traceback_is_its_last_line_and_the_users_own_place() -> None:
    assert readable(TRACEBACK) == "ValueError: no such region (network.py:12 in subnets)"


def test_of_a_resource_that_was_only_half_made_the_reason_is_told_first() -> None:
    text = "1 error occurred:\n\t* creating server: it ended with code 7\n\n"
    assert readable(text) == "creating server: it ended with code 7"
    assert readable("error: Preview failed: invalid region") == "invalid region"
    several = "3 errors occurred:\n\t* the server is not ready\n\t* no minimum\n\t* no pods\n\n"
    assert readable(several).startswith("the server is not ready\n")


def test_an_interrupted_operation_is_cancelled_whatever_else_it_says() -> None:
    failure = translate("", [("", "update canceled")], interrupted=True, log="")
    assert failure.kind == "cancelled"


def test_without_a_program_nobody_is_told_to_mend_it() -> None:
    failure = translate("", [("", "no plugin")], interrupted=False, log="", ran_program=False)
    assert (failure.kind, failure.hint) == ("unknown", "")


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ('Post "https://api": read tcp 10.0.0.1:5->10.0.0.2:443: connection reset by peer', True),
        ('Put "https://api": net/http: request canceled while awaiting headers', True),
        ('Post "http://x": unexpected EOF', True),
        ("('Connection aborted.', RemoteDisconnected('Remote end closed connection'))", True),
        ('Read timeout on endpoint URL: "http://127.0.0.1:4566/"', True),
        ("Connection was closed before we received a valid response from endpoint URL", True),
        ("etcdserver: request timed out", True),
        ('Post "https://api": dial tcp 10.0.0.2:443: connect: connection refused', False),
        ('Post "https://api": dial tcp 10.0.0.2:443: i/o timeout', False),
        ("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))", False),
        ('Could not connect to the endpoint URL: "http://127.0.0.1:4566/"', False),
        ("BucketAlreadyExists: the name is taken", False),
    ],
)
def test_whether_a_service_may_have_done_what_it_did_not_answer(message: str, asked: bool) -> None:
    assert lost_answer(message) is asked


CANNOT = (
    "could not load provider for resource urn:pulumi:dev::p::nosuch:index:Thing::t: could not "
    "create provider urn:pulumi:dev::p::pulumi:providers:nosuch::default::76fe: load plugin for "
    "nosuch provider 'urn:pulumi:dev::p::pulumi:providers:nosuch::default': Could not "
    "automatically download and install resource plugin 'pulumi-resource-nosuch' at version "
    "v1.2.3, install the plugin using `pulumi plugin install resource nosuch v1.2.3`: error "
    "downloading provider nosuch to file: failed to download plugin: nosuch-1.2.3: failed all 5 "
    "attempts"
)


def test_a_plugin_that_is_missing_is_the_first_that_is_said() -> None:
    """By its name and version, why it could not be had, and how to get it."""
    told = translate("", [("", CANNOT)], interrupted=False, log="", ran_program=False)
    assert told.message.startswith(
        "the plugin pulumi-resource-nosuch v1.2.3 is missing, and could not be downloaded: error "
        "downloading provider nosuch"
    )
    assert told.message.endswith("failed all 5 attempts")
    assert told.hint == "Install it: `pulumi plugin install resource nosuch v1.2.3`"
    said = "no resource plugin 'pulumi-resource-aws' found in the workspace or on your $PATH"
    told = translate("", [("urn:a", said)], interrupted=False, log="")
    assert told.message == "the plugin pulumi-resource-aws is missing"


@pytest.mark.parametrize("said", ["error reading from server: EOF", "No module named 'parts'"])
def test_a_dynamic_provider_of_another_python_is_told_what_it_needs(said: str) -> None:
    """Only of its resources: elsewhere the words mean something else."""
    urn = "urn:pulumi:dev::p::pulumi-python:dynamic:Resource::{}"
    told = translate("", [(urn, said)], interrupted=False, log="", ran_program=False)
    assert "the Python minor version that brought it up" in told.hint
    told = translate("", [("urn:pulumi:dev::p::aws:a:B::c", said)], interrupted=False, log="")
    assert told.hint == ""
