"""What Docker tells of a container."""

from __future__ import annotations

import time
from typing import Any

from tests.providers.docker.labels import labels_of

RUNNING = 15.0
"""Seconds in which a container must run: the official provider's default."""


def wait_until_up(api: Any, id_: str, inputs: dict[str, Any]) -> None:
    """Wait until it runs, and with `wait` until it is healthy. Raises ValueError with the reason.

    Without `mustRun`, one that has ended already is all right.
    """
    healthy = inputs.get("wait", False)
    deadline = time.monotonic() + (inputs["waitTimeout"] if healthy else RUNNING)
    while True:
        state = api.inspect_container(id_)["State"]
        health = (state.get("Health") or {}).get("Status")
        if healthy and health is None:
            raise ValueError("`wait` needs a health check, and the container has none")
        if state["Running"] and not state["Restarting"] and (not healthy or health == "healthy"):
            return
        ended = state["Restarting"] or (not state["Running"] and state["Status"] != "created")
        if ended and inputs["mustRun"]:
            said = state["Error"] or api.logs(id_, tail=5).decode(errors="replace").strip()
            raise ValueError(f"the container ended with code {state['ExitCode']}: {said}")
        if ended and not healthy:
            return
        if health == "unhealthy":
            raise ValueError(f"the container is unhealthy: {_last_check(state)}")
        if time.monotonic() > deadline:
            what = f"healthy, but {health}" if healthy else f"running, but {state['Status']}"
            raise ValueError(f"the container is not {what}: {_last_check(state)}")
        time.sleep(0.25 if healthy else 0.05)


def found_of(found: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Inputs and outputs of what an inspection tells. `state` says what was asked for."""
    config, host, network = found["Config"], found["HostConfig"], found["NetworkSettings"]
    return {
        "image": config["Image"],
        "name": found["Name"].lstrip("/"),
        "command": config["Cmd"],
        # The image adds variables of its own, which nobody asked for.
        "envs": [one for one in state.get("envs", config["Env"]) if one in (config["Env"] or ())],
        "labels": labels_of(config),
        "hostname": config["Hostname"],
        "restart": host["RestartPolicy"]["Name"] or "no",
        "exitCode": found["State"]["ExitCode"],
        "bridge": network.get("Bridge", ""),
        "ports": [{**port, **_bound(network, port)} for port in state.get("ports", ())],
        "networkDatas": [
            {
                "networkName": name,
                "ipAddress": endpoint["IPAddress"],
                "ipPrefixLength": endpoint["IPPrefixLen"],
                "gateway": endpoint["Gateway"],
                "macAddress": endpoint["MacAddress"],
            }
            for name, endpoint in network["Networks"].items()
        ],
    }


def _bound(network: dict[str, Any], port: dict[str, Any]) -> dict[str, Any]:
    protocol = port.get("protocol", "tcp")
    bindings = (network.get("Ports") or {}).get(f"{port['internal']}/{protocol}") or ()
    ours = [b for b in bindings if "ip" not in port or b["HostIp"] == port["ip"]]
    return {"external": int(ours[0]["HostPort"]), "protocol": protocol} if ours else {}


def _last_check(state: dict[str, Any]) -> str:
    log = (state.get("Health") or {}).get("Log") or [{}]
    return str(log[-1].get("Output", "no check has ended yet")).strip()
