"""What is given to the AWS provider, and which of it stands when the user says otherwise."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from alma import DefinitionError, LocalStack, Saga
from alma.core.definition import Definition
from alma.pulumi.engine import StackRef
from alma.pulumi.project import write_settings
from alma.steps.stack.localstack import SERVICES, provider_config
from tests.runner.helpers import program

# -- where ------------------------------------------------------------------------------------


def test_url_is_the_given_one_then_the_environments_then_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert LocalStack().url == "http://localhost:4566"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ls.example:4567/")
    assert LocalStack().url == "https://ls.example:4567"
    assert LocalStack("http://other:1").url == "http://other:1"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:4566",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://x/y",
        "http://x?a=b",
        "saga.py",
    ],
)
def test_what_is_no_url_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(DefinitionError, match="is no URL of a LocalStack") as refused:
        LocalStack(url)
    assert "http://localhost:4566" in refused.value.hint


@pytest.mark.parametrize("url", ["http://me:hunter22@host:4566", "me:hunter22@host/x"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        LocalStack(url)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("region", ["", "us east", "../x", 7])
def test_what_cannot_be_a_region_is_refused(region: Any) -> None:
    with pytest.raises(DefinitionError, match="cannot be an AWS region"):
        LocalStack(region=region)


def test_a_saga_takes_a_localstack_and_nothing_else() -> None:
    with pytest.raises(DefinitionError, match="aws must be a LocalStack"):
        Saga("shop", aws="http://localhost:4566")  # type: ignore[arg-type]


# -- what -------------------------------------------------------------------------------------


def test_config_is_what_the_provider_needs() -> None:
    config = dict(provider_config(LocalStack("http://localhost:4566", region="eu-central-1")))
    (endpoints,) = config.pop("aws:endpoints")
    assert config == {
        "aws:region": "eu-central-1",
        "aws:accessKey": "test",
        "aws:secretKey": "test",
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
        "aws:s3UsePathStyle": True,
    }
    assert endpoints.pop("s3control") == "http://localhost.localstack.cloud:4566"
    assert set(endpoints.values()) == {"http://localhost:4566"}
    assert {"s3", "sqs", "sns", "iam", "sts", "ssm", "ec2", "secretsmanager"} <= set(endpoints)


def test_every_endpoint_is_one_that_the_provider_knows_and_no_service_is_there_twice() -> None:
    """By the SDK that is installed, read and not imported: it has hundreds of megabytes."""
    spec = importlib.util.find_spec("pulumi_aws")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).with_name("_inputs.py").read_text())
    known = next(
        {argument.arg for argument in function.args.kwonlyargs}
        for kind in tree.body
        if isinstance(kind, ast.ClassDef) and kind.name == "ProviderEndpointArgs"
        for function in kind.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
    )
    # `lambda` is a word of Python, so the SDK names its argument otherwise.
    assert {name for name in SERVICES if name != "lambda"} <= known
    assert len(SERVICES) == len(set(SERVICES))
    others = {"es", "stepfunctions", "cloudwatchlogs", "cloudwatchevents", "s3api", "eventbridge"}
    assert others <= known
    assert not others & set(SERVICES)


# -- what of it stands --------------------------------------------------------------------------


def test_defaults_give_way_to_config_to_settings_and_to_the_project(tmp_path: Path) -> None:
    project, own = tmp_path / "project", tmp_path / "own"
    project.mkdir()
    own.mkdir()
    (project / "Pulumi.yaml").write_text(
        "name: queue\nruntime: yaml\nconfig:\n  aws:region: eu-west-1\n  size: {default: 1}\n"
    )
    (project / "Pulumi.dev.yaml").write_text(
        "encryptionsalt: v1:x\nconfig:\n  aws:accessKey: mine\n  aws:secretKey:\n    secure: v1:y\n"
    )
    ref = StackRef(project="queue", stack="dev", work_dir=str(project))
    defaults = provider_config(LocalStack("http://host:4566"))
    plain = {"aws:s3UsePathStyle": False, "aws:endpoints": [{"s3": "http://mine"}]}
    path = write_settings(own, ref, plain, fresh=False, defaults=defaults)
    assert yaml.safe_load(path.read_text())["config"] == {
        "aws:accessKey": "mine",
        "aws:secretKey": {"secure": "v1:y"},
        "aws:s3UsePathStyle": False,
        "aws:endpoints": [{"s3": "http://mine"}],
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
    }


# -- the journal --------------------------------------------------------------------------------


def test_definition_keeps_where_it_goes_and_reads_the_older_form() -> None:
    saga = Saga("shop", aws=LocalStack("http://host:4566", region="eu-central-1"))
    saga.add_stack("bucket", program)
    data = json.loads(json.dumps(saga.definition().to_json()))
    assert data["aws"] == {"url": "http://host:4566", "region": "eu-central-1"}
    assert Definition.from_json(data) == saga.definition()
    del data["aws"]
    assert Definition.from_json(data).aws is None
