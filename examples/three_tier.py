"""Three tiers and a DNS record as one saga, on this machine alone.

    alma-pulumi up examples/three_tier.py         # or: python examples/three_tier.py
    alma-pulumi destroy examples/three_tier.py

The database, the servers and the balancer are Pulumi stacks. DNS is an API call, so it is an
action with a compensation. There is no name service on your machine to call, so the saga's
first step starts one, and its compensation stops it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from alma import Context, Retry, Saga, SagaFailed
from stacks.local import balancer, database, names, servers, service

RECORD = "www"


def three_tier(name: str, *, health_path: str = "/healthz") -> Saga:
    """The saga. With a `health_path` that no server answers, the balancer fails."""
    saga = Saga(name)
    data_dir = str(data_directory(name))

    name_service = saga.add_step("names", action=start_names, compensation=stop_names)
    db = saga.add_stack(
        "database",
        program=database.program,
        config={"data_dir": data_dir, "greeting": f"Hello from the database of {name}"},
        after=[],  # needs nothing of another step: starts at once
    )
    web = saga.add_stack(
        "servers",
        program=servers.program,
        config={"data_dir": data_dir, "count": 2},
        # The password is a secret output: it reaches the servers as secret config.
        inputs={"db_url": db.output("url"), "db_password": db.output("password")},
        retry=Retry(attempts=2, delay=0.5),
    )
    front = saga.add_stack(
        "balancer",
        program=balancer.program,
        config={"data_dir": data_dir, "health_path": health_path, "wait": 1},
        inputs={"upstreams": web.output("urls")},
        timeout=120,
    )
    saga.add_step(
        "dns",
        action=create_record,
        compensation=delete_record,
        inputs={"service": name_service.output("url"), "target": front.output("url")},
        retry=Retry(attempts=3, delay=0.5),
    )
    return saga


def data_directory(saga: str) -> Path:
    """Where the files of the saga's stacks go."""
    return Path.cwd() / ".alma" / "data" / saga


# An action is repeated after a crash that left it in doubt, so it must be idempotent. A
# compensation must also succeed when there is nothing to undo.


def start_names(context: Context) -> dict[str, Any]:
    """Start the name service; one that an earlier attempt left is replaced."""
    directory = data_directory(context.saga) / "names"
    started = service.launch(
        "stacks.local.names",
        directory=directory,
        owner=context.saga,
        args=["--data", str(directory / "records.json")],
    )
    return {"url": f"http://127.0.0.1:{started.port}", "pid": started.identity.pid}


def stop_names(context: Context) -> None:
    """Stop the name service and remove its files; gone already is a success."""
    directory = data_directory(context.saga) / "names"
    service.retire(directory, context.saga, None)
    (directory / "records.json").unlink(missing_ok=True)
    service.clear(directory)


def create_record(context: Context) -> dict[str, Any]:
    """Point the name at the balancer. The service answers a repeated key as it did at first."""
    inputs = context.inputs
    return names.create_record(inputs["service"], RECORD, inputs["target"], key=context.key)


def delete_record(context: Context) -> None:
    """Delete the name; one that is not there is a success."""
    if (data_directory(context.saga) / "names").exists():  # else it went with the service
        names.delete_record(context.inputs["service"], RECORD)


def run(saga: Saga, file: str) -> int:
    """Run it as a script does; the exit code is the one that `alma-pulumi up` would give."""
    try:
        result = saga.run()
    except SagaFailed as failed:
        print(failed, file=sys.stderr)
        for left in failed.result.leftovers:
            print(f"left over: {left.stack} {left.urn} {left.reason}", file=sys.stderr)
        return failed.exit_code
    print(f"{result.state.name}: try  curl {result.outputs['balancer']['url']}")
    print(f"Take it down with  alma-pulumi destroy {file}")
    return 0


saga = three_tier("three-tier")

if __name__ == "__main__":
    sys.exit(run(saga, __file__))
