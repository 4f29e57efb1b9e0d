"""LocalStack as the target of AWS steps: the provider configuration that sends them there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from alma.errors import DefinitionError

DEFAULT_URL: Final = "http://localhost:4566"
"""Where LocalStack listens unless it is told otherwise."""

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

_REGION: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


@dataclass(frozen=True)
class LocalStack:
    """Where a LocalStack listens; AWS steps of a saga with `aws=LocalStack(...)` go there.

    Without a `url` it is the one in the environment variable AWS_ENDPOINT_URL, as for
    LocalStack's own `pulumilocal` and `tflocal`, or http://localhost:4566. `region` is what
    resources are made in. Raises DefinitionError for what is no http or https URL of a host.
    """

    url: str = ""
    region: str = "us-east-1"

    def __post_init__(self) -> None:
        given = self.url or os.environ.get("AWS_ENDPOINT_URL") or DEFAULT_URL
        object.__setattr__(self, "url", _checked(given))
        if not _REGION.fullmatch(str(self.region)):
            raise DefinitionError(
                f"LocalStack: {self.region!r} cannot be an AWS region.",
                hint="Give one as AWS names them, for example us-east-1.",
            )

    def config(self) -> Mapping[str, Any]:
        """Config of the Pulumi AWS provider 7 by full key, as LocalStack's own tools have it.

        `aws:skipRequestingAccountId`, which `pulumilocal` 1.3.0 sets, is left out: LocalStack
        knows the account, and without it the provider cannot make a bucket any more (getmoto/moto
        pull request 9504, localstack/localstack pull request 13435).
        """
        endpoints = dict.fromkeys(SERVICES, self.url)
        endpoints["s3control"] = self._with_subdomains
        return {
            "aws:region": self.region,
            "aws:accessKey": "test",
            "aws:secretKey": "test",
            "aws:skipCredentialsValidation": True,
            "aws:skipMetadataApiCheck": True,
            "aws:s3UsePathStyle": True,
            "aws:endpoints": [endpoints],
        }

    @property
    def _with_subdomains(self) -> str:
        """S3 Control is called at `<account>.<host>`; LocalStack's public name has such hosts.

        As in LocalStack's `tflocal` 0.27.0.
        """
        parts = urlsplit(self.url)
        if parts.hostname not in ("localhost", "127.0.0.1"):
            return self.url
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://localhost.localstack.cloud{port}"


def _checked(url: object) -> str:
    """The URL without a slash at its end."""
    hint = f"Write it like {DEFAULT_URL}."
    try:
        parts = urlsplit(str(url).strip())
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if "@" in str(url):
        # The URL goes into the journal and into the stacks' state.
        raise DefinitionError("The URL of a LocalStack must not hold a password.", hint=hint)
    if not known or parts.path.strip("/") or parts.query or parts.fragment:
        raise DefinitionError(f"{url!r} is no URL of a LocalStack.", hint=hint)
    return f"{parts.scheme}://{parts.netloc}"
