"""AWS steps that go to a LocalStack: the provider's configuration, and whether it answers."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from alma.core.definition import Definition, LocalStack
from alma.errors import UnreachableError

HEALTH: Final = "/_localstack/health"
"""Answers with the state of LocalStack's services, without starting any of them."""
INFO: Final = "/_localstack/info"
"""Answers with which session of it this is."""

_PATIENCE: Final = 10.0
"""Seconds. The answer takes milliseconds; a machine that is starting up may be slow."""
_LATE: Final = f"did not answer within {_PATIENCE:g} seconds"
_LOOPBACK: Final = "localhost.localstack.cloud"
"""Names by which LocalStack's own tools reach one on this machine: they lead to 127.0.0.1."""
_LONGEST: Final = 256 * 1024
"""Bytes. The answer has a line for each service."""


SERVICES: Final = tuple(
    """
    accessanalyzer account acm acmpca amp amplify apigateway apigatewayv2 appautoscaling
    appconfig appfabric appflow appintegrations applicationinsights applicationsignals appmesh
    apprunner appstream appsync athena auditmanager autoscaling autoscalingplans backup batch
    bcmdataexports bedrock bedrockagent billing budgets ce chatbot chime
    chimesdkmediapipelines chimesdkvoice cleanrooms cloud9 cloudcontrol cloudformation
    cloudfront cloudfrontkeyvaluestore cloudhsmv2 cloudsearch cloudtrail cloudwatch
    codeartifact codebuild codecatalyst codecommit codeconnections codeguruprofiler
    codegurureviewer codepipeline codestarconnections codestarnotifications cognitoidentity
    cognitoidp comprehend computeoptimizer configservice connect connectcases controltower
    costoptimizationhub cur customerprofiles databrew dataexchange datapipeline datasync
    datazone dax deploy detective devicefarm devopsguru directconnect dlm dms docdb
    docdbelastic drs ds dsql dynamodb ec2 ecr ecrpublic ecs efs eks elasticache
    elasticbeanstalk elasticsearch elastictranscoder elb elbv2 emr emrcontainers emrserverless
    events evidently evs finspace firehose fis fms fsx gamelift glacier globalaccelerator glue
    grafana greengrass groundstation guardduty healthlake iam identitystore imagebuilder
    inspector inspector2 internetmonitor invoicing iot ivs ivschat kafka kafkaconnect kendra
    keyspaces kinesis kinesisanalytics kinesisanalyticsv2 kinesisvideo kms lakeformation
    lambda launchwizard lexmodels lexv2models licensemanager lightsail location logs m2 macie2
    mediaconnect mediaconvert medialive mediapackage mediapackagev2 mediapackagevod mediastore
    memorydb mgn mq mwaa neptune neptunegraph networkfirewall networkmanager networkmonitor
    notifications notificationscontacts oam opensearch opensearchserverless organizations osis
    outposts paymentcryptography pcaconnectorad pcs pinpoint pinpointsmsvoicev2 pipes polly
    pricing qbusiness qldb quicksight ram rbin rds redshift redshiftdata redshiftserverless
    rekognition resiliencehub resourceexplorer2 resourcegroups resourcegroupstaggingapi
    rolesanywhere route53 route53domains route53profiles route53recoverycontrolconfig
    route53recoveryreadiness route53resolver rum s3 s3control s3outposts s3tables sagemaker
    scheduler schemas secretsmanager securityhub securitylake serverlessrepo servicecatalog
    servicecatalogappregistry servicediscovery servicequotas ses sesv2 sfn shield signer sns
    sqs ssm ssmcontacts ssmincidents ssmquicksetup ssmsap sso ssoadmin storagegateway sts swf
    synthetics taxsettings timestreaminfluxdb timestreamquery timestreamwrite transcribe
    transfer verifiedpermissions vpclattice waf wafregional wafv2 wellarchitected workspaces
    workspacesweb xray
    """.split()  # noqa: SIM905 - a list with a line for each would be four pages
)
"""Keys of `aws:endpoints`: each service once, under its first name.

The keys of `ProviderEndpointArgs` that pulumi-aws has in 7.0.0 as in 7.51.1, because the provider
refuses one that it does not know. Other names of the same service are left out by the table in
terraform-provider-aws, website/docs/guides/custom-service-endpoints: the provider warns when a
service is given twice.
"""


def provider_config(localstack: LocalStack) -> Mapping[str, Any]:
    """Config of the Pulumi AWS provider 7 by full key, as LocalStack's own tools have it.

    `aws:skipRequestingAccountId`, which `pulumilocal` 1.3.0 sets, is left out: LocalStack
    knows the account, and without it the provider cannot make a bucket any more (getmoto/moto
    pull request 9504, localstack/localstack pull request 13435).
    """
    endpoints = dict.fromkeys(SERVICES, localstack.url)
    endpoints["s3control"] = _with_subdomains(localstack.url)
    return {
        "aws:region": localstack.region,
        "aws:accessKey": "test",
        "aws:secretKey": "test",
        "aws:skipCredentialsValidation": True,
        "aws:skipMetadataApiCheck": True,
        "aws:s3UsePathStyle": True,
        "aws:endpoints": [endpoints],
    }


def _with_subdomains(url: str) -> str:
    """S3 Control is called at `<account>.<host>`; LocalStack's public name has such hosts.

    As in LocalStack's `tflocal` 0.27.0.
    """
    parts = urlsplit(url)
    if parts.hostname not in ("localhost", "127.0.0.1"):
        return url
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://localhost.localstack.cloud{port}"


async def require_localstack(definition: Definition) -> None:
    """Raise UnreachableError unless the LocalStack that the stacks of the saga go to answers."""
    if definition.aws is None or not any(step.kind == "stack" for step in definition.steps):
        return
    why = await asyncio.to_thread(localstack_problem, definition.aws)
    if why:
        raise UnreachableError(
            f'LocalStack at {definition.aws.url}, where AWS steps of saga "{definition.saga}" go, '
            f"{why}.",
            hint="Start it (`localstack start -d`), or say where it is: --localstack URL, or "
            "aws=LocalStack(url).",
        )


def is_here(localstack: LocalStack) -> bool:
    """Whether its URL leads to this machine, whoever answers there."""
    from ipaddress import ip_address  # only `doctor` asks

    host = str(urlsplit(localstack.url).hostname)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", _LOOPBACK) or host.endswith((".localhost", f".{_LOOPBACK}"))


@contextmanager
def _hung_up(connection: socket.socket, too_late: threading.Event) -> Iterator[None]:
    """End the connection when patience is over, however slowly something still comes."""

    def end() -> None:
        too_late.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_PATIENCE, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def localstack_problem(localstack: LocalStack) -> str:
    """What is wrong with it, in words that follow its name; empty when it answers. Blocks."""
    problem, status, body = _ask(localstack, HEALTH)
    if problem:
        return problem
    if status != HTTPStatus.OK or "services" not in _fields(body):
        return f"does not answer as a LocalStack does (status {status} at {HEALTH})"
    return ""


def session_of(localstack: LocalStack) -> str:
    """What is another one after each start of it; empty where it does not say. Blocks."""
    problem, status, body = _ask(localstack, INFO)
    said = "" if problem or status != HTTPStatus.OK else _fields(body).get("session_id", "")
    return said[:64] if isinstance(said, str) else ""


def _ask(localstack: LocalStack, path: str) -> tuple[str, int, bytes]:
    """Why there is no answer, or empty words, a status and a body."""
    # Here: most sagas ask nobody, and it brings in what reads mail.
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(localstack.url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_PATIENCE)
    too_late = threading.Event()
    try:
        connection.connect()
        with _hung_up(connection.sock, too_late):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(_LONGEST)
    except TimeoutError:
        return _LATE, 0, b""
    except ssl.SSLError as error:
        words = f"cannot be reached: {error.reason or error}"
        return _LATE if too_late.is_set() else words, 0, b""
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return _LATE if too_late.is_set() else f"cannot be reached: {reason}", 0, b""
    finally:
        connection.close()
    return _LATE if too_late.is_set() else "", answer.status, body


def _fields(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
