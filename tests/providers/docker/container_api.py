"""What is asked of Docker for a container."""

from __future__ import annotations

import io
import tarfile
import time
from base64 import b64decode
from typing import Any

from docker.errors import NotFound
from docker.types import Healthcheck

from tests.providers.docker.durations import nanoseconds
from tests.providers.docker.labels import labels_to

REMOVAL = 30.0
"""Seconds in which a container whose removal has begun must be gone."""


def make(api: Any, inputs: dict[str, Any]) -> str:
    """Make the container in its networks, not started: the id."""
    networks = inputs.get("networksAdvanced", ())
    mode = networks[0]["name"] if networks else inputs.get("networkMode", "bridge")
    ports = inputs.get("ports", ())
    check = inputs.get("healthcheck")
    made = api.create_container(
        inputs["image"],
        command=inputs.get("command"),
        entrypoint=inputs.get("entrypoints"),
        environment=inputs.get("envs"),
        hostname=inputs.get("hostname"),
        user=inputs.get("user"),
        working_dir=inputs.get("workingDir"),
        stop_signal=inputs.get("stopSignal"),
        name=inputs["name"],
        labels=labels_to(inputs),
        ports=[(port["internal"], port.get("protocol", "tcp")) for port in ports],
        healthcheck=check and _healthcheck(check),
        host_config=api.create_host_config(
            network_mode=mode,
            port_bindings={_inside(port): _outside(port) for port in ports},
            binds=[_bind(volume) for volume in inputs.get("volumes", ())],
            restart_policy=restart_policy(inputs),
            cpu_shares=inputs.get("cpuShares"),
            mem_limit=megabytes(inputs.get("memory")),
            init=inputs.get("init"),
            privileged=inputs.get("privileged", False),
            read_only=inputs.get("readOnly", False),
        ),
        networking_config=api.create_networking_config({mode: _endpoint(api, networks[0])})
        if networks
        else None,
    )
    return str(made["Id"])


def fill(api: Any, id_: str, inputs: dict[str, Any]) -> None:
    """Connect it to its further networks, and put the uploads into it."""
    for network in inputs.get("networksAdvanced", ())[1:]:
        api.connect_container_to_network(
            id_,
            network["name"],
            aliases=network.get("aliases"),
            ipv4_address=network.get("ipv4Address"),
        )
    for upload in inputs.get("uploads", ()):
        api.put_archive(id_, "/", _tar(upload))


def wait_until_gone(api: Any, id_: str) -> None:
    """Raises TimeoutError when it is still there."""
    deadline = time.monotonic() + REMOVAL
    while True:
        try:
            api.inspect_container(id_)
        except NotFound:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the container {id_} is still there after its removal")
        time.sleep(0.05)


def restart_policy(inputs: dict[str, Any]) -> dict[str, Any]:
    """The policy in Docker's form."""
    return {
        "Name": inputs.get("restart", "no"),
        "MaximumRetryCount": inputs.get("maxRetryCount", 0),
    }


def megabytes(value: int | None) -> int | None:
    """Bytes for Docker; Pulumi counts in MB."""
    return None if value is None else value * 1024 * 1024


def _inside(port: dict[str, Any]) -> str:
    return f"{port['internal']}/{port.get('protocol', 'tcp')}"


def _outside(port: dict[str, Any]) -> tuple[Any, ...]:
    # Without a port Docker picks a free one.
    return (port.get("ip", "0.0.0.0"), *([port["external"]] if port.get("external") else []))  # noqa: S104


def _bind(volume: dict[str, Any]) -> str:
    source = volume.get("volumeName") or volume["hostPath"]
    return f"{source}:{volume['containerPath']}:{'ro' if volume.get('readOnly') else 'rw'}"


def _endpoint(api: Any, network: dict[str, Any]) -> Any:
    return api.create_endpoint_config(
        aliases=network.get("aliases"), ipv4_address=network.get("ipv4Address")
    )


def _healthcheck(check: dict[str, Any]) -> Healthcheck:
    return Healthcheck(
        test=check["tests"],
        interval=nanoseconds(check.get("interval")),
        timeout=nanoseconds(check.get("timeout")),
        start_period=nanoseconds(check.get("startPeriod")),
        retries=check.get("retries", 0),
    )


def _tar(upload: dict[str, Any]) -> bytes:
    """The one file as a tar archive. Raises ValueError for one without content."""
    if "content" in upload:
        content = upload["content"].encode()
    elif "contentBase64" in upload:
        content = b64decode(upload["contentBase64"])
    else:
        raise ValueError(f"the upload {upload['file']} has neither content nor contentBase64")
    told = tarfile.TarInfo(upload["file"].lstrip("/"))
    told.size, told.mtime = len(content), int(time.time())
    mode = upload.get("permissions")
    told.mode = int(mode, 8) if mode else 0o744 if upload.get("executable") else 0o644
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(told, io.BytesIO(content))
    return packed.getvalue()
