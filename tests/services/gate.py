"""A gate in front of a gRPC service: TLS, a certificate of each client, and an API key.

with gate(temporal.address, certificates(directory), key="...") as door:
    door.address                               # what clients are given; `door.said` is what came
    door.keys.clear()                          # from now on nobody's key is known
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "localhost"
THREADS = 128
"""Each poll of a worker holds one."""
LONGEST = 600.0


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: who signs, what the server shows, and what a client does."""

    authority: Path
    server: Path
    client: Path

    @staticmethod
    def key_of(certificate: Path) -> Path:
        return certificate.with_suffix(".key")


def certificates(directory: Path, name: str = "a") -> Certificates:
    """Made anew, by an authority of their own."""
    directory.mkdir(parents=True, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(f"authority {name}")
    paths = []
    for role in ("authority", "server", "client"):
        is_authority = role == "authority"
        key = authority_key if is_authority else ec.generate_private_key(ec.SECP256R1())
        made = _made(
            subject if is_authority else _named(f"{role} {name}"),
            subject,
            key.public_key(),
            is_authority=is_authority,
        )
        path = directory / f"{name}-{role}.pem"
        signed = made.sign(authority_key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        Certificates.key_of(path).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        paths.append(path)
    return Certificates(*paths)


@dataclass
class Gate:
    """`keys` are those that are let through; `said` is every call's method and authorization."""

    address: str
    keys: set[str]
    said: list[tuple[str, str]] = field(default_factory=list)

    def lets_through(self, method: str, authorization: str) -> bool:
        """Whether it does, once that is noted."""
        self.said.append((method, authorization))
        return authorization.removeprefix("Bearer ") in self.keys


@contextmanager
def gate(upstream: str, shown: Certificates, *, key: str) -> Iterator[Gate]:
    """In front of a server that speaks neither TLS nor of keys."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with ThreadPoolExecutor(THREADS) as pool, grpc.insecure_channel(upstream, options) as channel:
        door = Gate("", {key})
        server = grpc.server(pool, handlers=[_Passing(channel, door)], options=options)
        credentials = grpc.ssl_server_credentials(
            [(Certificates.key_of(shown.server).read_bytes(), shown.server.read_bytes())],
            root_certificates=shown.authority.read_bytes(),
            require_client_auth=True,
        )
        port = server.add_secure_port(f"{HOST}:0", credentials)
        door.address = f"{HOST}:{port}"
        server.start()
        try:
            yield door
        finally:
            server.stop(grace=None).wait()


class _Passing(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Hands each call on as it is: all of Temporal's are one question and one answer."""

    def __init__(self, channel: grpc.Channel, door: Gate) -> None:
        self._channel, self._door = channel, door

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        """See grpc."""
        method = str(details.method)
        said = dict(details.invocation_metadata)

        def call(request: bytes, context: Any) -> Any:
            if not self._door.lets_through(method, str(said.get("authorization", ""))):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized.")
            passed = [
                (name, value)
                for name, value in details.invocation_metadata
                if name.startswith(("temporal-", "client-", "supported-", "caller-"))
            ]
            asked = self._channel.unary_unary(method)
            left = context.time_remaining()
            timeout = min(left, LONGEST) if left is not None else LONGEST
            try:
                return asked(request, timeout=timeout, metadata=passed)
            except grpc.RpcError as error:
                refused: Any = error
                context.set_trailing_metadata(refused.trailing_metadata() or ())
                context.abort(refused.code(), refused.details())

        return grpc.unary_unary_rpc_method_handler(call)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _made(
    subject: x509.Name, issuer: x509.Name, key: Any, *, is_authority: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(names, critical=False)
    )
