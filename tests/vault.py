"""The two calls of Vault's transit engine that the CLI makes to open a stack's data key.

The CLI derives the key of a passphrase with a million rounds, in every process. A stack whose
key is in a vault costs an HTTP request instead: so a thousand random cases become affordable.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PREFIX = "vault:v1:"
LAYOUT = "version: 1\n"
"""Of a file backend with a directory for each project."""


class _Transit(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "plaintext" in asked:
            data = {"ciphertext": _PREFIX + asked["plaintext"]}
        else:
            data = {"plaintext": asked["ciphertext"].removeprefix(_PREFIX)}
        body = json.dumps({"data": data})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: it is asked thousands of times."""


@contextmanager
def vault() -> Iterator[str]:
    """A vault that answers; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Transit)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def empty_stack(root: Path, project: str, stack: str) -> bytes:
    """Make a stack that holds nothing, its secrets' key in the vault; that key."""
    key = secrets.token_bytes(32)
    sealed = f"{_PREFIX}{base64.b64encode(key).decode()}"
    state = {"url": "hashivault://key", "encryptedkey": base64.b64encode(sealed.encode()).decode()}
    latest = {"manifest": {}, "secrets_providers": {"type": "cloud", "state": state}}
    checkpoint = {"stack": f"organization/{project}/{stack}", "latest": latest}
    path = root / ".pulumi" / "stacks" / project / f"{stack}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / ".pulumi" / "meta.yaml").write_text(LAYOUT)
    path.write_text(json.dumps({"version": 3, "checkpoint": checkpoint}))
    return key


def opened(root: Path, project: str, stack: str, key: bytes) -> Any:
    """The stack's deployment with its secrets open, read without alma and without the CLI."""
    path = root / ".pulumi" / "stacks" / project / f"{stack}.json"
    return _open(json.loads(path.read_text())["checkpoint"]["latest"], AESGCM(key))


def _open(tree: Any, cipher: AESGCM) -> Any:
    if isinstance(tree, list):
        return [_open(value, cipher) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "ciphertext" in tree:
        # `v1:nonce:sealed`, as symmetricCrypter in Pulumi's sdk/go/common/resource/config has it
        _, nonce, sealed = map(str, tree["ciphertext"].split(":"))
        text = cipher.decrypt(base64.b64decode(nonce), base64.b64decode(sealed), None)
        rest = {key: value for key, value in tree.items() if key != "ciphertext"}
        return {**rest, "plaintext": text.decode()}
    return {key: _open(value, cipher) for key, value in tree.items()}
