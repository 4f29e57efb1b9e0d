"""A CloudFormation stack beside other steps, on LocalStack: its outputs used, its undo seen.

    pip install 'alma-pulumi[cloudformation]' && localstack start -d
    alma-pulumi up examples/cloudformation.py         # or: python examples/cloudformation.py
    alma-pulumi destroy examples/cloudformation.py

LocalStack is expected at http://localhost:4566, or where AWS_ENDPOINT_URL says. Without
`aws=LocalStack()` the same saga goes to AWS, with your credentials and your region.

The second step fails where it is told to. The stack is deleted then, each resource seen to be gone;
if it was up before, it gets its template and parameters back:

    ALMA_FAIL=1 alma-pulumi up examples/cloudformation.py    # exit code 4: failed, clean
    RETENTION=60 ALMA_FAIL=1 alma-pulumi up examples/cloudformation.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from alma import AlmaError, Context, LocalStack, Saga, SagaFailed, Secret

TEMPLATE = Path(__file__).parent / "cloudformation" / "storage.yaml"


def announce(context: Context) -> dict[str, str]:
    """Stands for whatever needs the queue: the password comes as a `Secret`."""
    if os.environ.get("ALMA_FAIL"):
        raise ConnectionError("nobody listens")
    login = context.inputs["login"]
    return {"told": f"{context.inputs['queue']} for {login.value.partition(':')[0]}"}


saga = Saga("orders", aws=LocalStack())
storage = saga.add_cloudformation(
    "storage",
    TEMPLATE,
    parameters={
        "Prefix": "shop",
        "Password": Secret(os.environ.get("PASSWORD", "an-orders-password")),
        "Retention": int(os.environ.get("RETENTION", "345600")),
    },
    tags={"team": "orders"},
)
saga.add_step(
    announce,
    compensation="none",
    inputs={"queue": storage.output("QueueUrl"), "login": storage.output("Login")},
)

if __name__ == "__main__":
    try:
        result = saga.run()
    except SagaFailed as failed:
        sys.exit(str(failed))
    except AlmaError as error:
        sys.exit(str(error))
    print("COMPLETED:", result.outputs["announce"]["told"])
