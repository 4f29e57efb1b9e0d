"""Six AWS stacks as one saga, on LocalStack: network, storage, messaging, secrets, servers, DNS.

    pip install 'alma-pulumi[aws]' && localstack start -d
    alma-pulumi up examples/aws_localstack.py         # or: python examples/aws_localstack.py
    alma-pulumi destroy examples/aws_localstack.py

LocalStack is expected at http://localhost:4566, or where AWS_ENDPOINT_URL says. The stacks are
written for AWS: without `aws=LocalStack()` the same saga goes there, with your credentials.

To see what a failure leaves, name a step. AWS then refuses a part of it, when the steps before it
and other parts of it are made already; all of that goes again:

    ALMA_FAIL_AT=dns alma-pulumi up examples/aws_localstack.py    # exit code 4: failed, clean
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from alma import AlmaError, LocalStack, Retry, Saga, SagaFailed
from stacks.aws import dns, messaging, network, secrets, servers, storage

REGION = "us-east-1"
AMI = "ami-03cf127a"  # one that LocalStack has; on AWS take one of your region
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "network": {"availability_zones": [f"{REGION}a", f"{REGION}x"]},  # there is no zone x
    "storage": {"tags": {"aws:mine": "no"}},  # the prefix aws: is AWS's own
    "messaging": {"filter_policy": {"kind": "order"}},  # a filter is a list of values
    "secrets": {"prefix": "/aws"},  # parameters under /aws are AWS's own
    "servers": {"managed_policies": ["arn:aws:iam::aws:policy/NoSuchPolicy"]},
    "dns": {"records": [{"name": "not a name", "type": "TXT", "values": ["x"]}]},
}
"""By step, config that AWS takes in part."""


def aws_saga(
    name: str,
    *,
    aws: LocalStack | None = None,
    fail_at: str = "",
    config: Mapping[str, Any] | None = None,
) -> Saga:
    """The saga; `config` is for each of its stacks. With a step in `fail_at`, that one fails.

    Raises ValueError for a step that is none.
    """
    if fail_at and fail_at not in FAULTS:
        raise ValueError(f"{fail_at!r} cannot be made to fail; steps are {', '.join(FAULTS)}.")
    fault = {fail_at: FAULTS[fail_at]} if fail_at else {}

    def of(step: str, **own: Any) -> dict[str, Any]:
        return {**(config or {}), **own, **fault.get(step, {})}

    saga = Saga(name, aws=aws)
    net = saga.add_stack(
        "network",
        program=network.program,
        config=of("network", availability_zones=[f"{REGION}a", f"{REGION}b"]),
    )
    # These three need nothing of each other, so they are brought up side by side.
    store = saga.add_stack("storage", storage.program, config=of("storage"), after=[net])
    bus = saga.add_stack("messaging", messaging.program, config=of("messaging"), after=[net])
    vault = saga.add_stack("secrets", secrets.program, config=of("secrets"), after=[net])
    web = saga.add_stack(
        "servers",
        program=servers.program,
        config=of("servers", ami=AMI, count=2),
        inputs={
            "subnet_ids": net.output("public_subnet_ids"),
            "security_group_ids": net.output("security_group_ids"),
            # What the servers may use, and no more.
            "bucket_arn": store.output("bucket_arn"),
            "queue_arn": bus.output("queue_arn"),
            "secret_arn": vault.output("secret_arn"),
            "parameter_arns": vault.output("parameter_arns"),
        },
        retry=Retry(attempts=2, delay=2.0),  # AWS may lack capacity for a moment
    )
    saga.add_stack(
        "dns",
        program=dns.program,
        config=of("dns", zone=f"{name}.example"),
        inputs={"addresses": web.output("public_ips")},
    )
    return saga


def run() -> int:
    """Run it as a script does; the exit code is the one that `alma-pulumi up` would give."""
    try:
        result = saga.run()
    except AlmaError as error:  # also when LocalStack is not there
        print(error, file=sys.stderr)
        for left in error.result.leftovers if isinstance(error, SagaFailed) else ():
            print(f"left over: {left.stack} {left.urn} {left.reason}", file=sys.stderr)
        return error.exit_code
    for name, address in zip(
        result.outputs["servers"]["instance_ids"],
        result.outputs["servers"]["public_ips"],
        strict=True,
    ):
        print(f"{name} at {address}")
    print(f"{result.state.name}: {', '.join(result.outputs['dns']['names'])}")
    return 0


saga = aws_saga("shop", aws=LocalStack(), fail_at=os.environ.get("ALMA_FAIL_AT", ""))

if __name__ == "__main__":
    sys.exit(run())
