"""Where the user is logged in with Pulumi: what the CLI itself goes by when nobody says more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from alma.errors import AuthenticationError

_CLOUD: Final = "https://api.pulumi.com"


def current_login(environ: Mapping[str, str]) -> str:
    """The URL of the current `pulumi login`; empty when there is none.

    A token in the environment is a login as well: a pipeline has no other. Raises
    `AuthenticationError` where the CLI's file cannot be read.
    """
    home = environ.get("PULUMI_HOME") or str(Path(environ.get("HOME", "/"), ".pulumi"))
    path = Path(environ.get("PULUMI_CREDENTIALS_PATH") or home, "credentials.json")
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text else {}
        if "$pulumiSecureStore" in found:
            raise ValueError("it is encrypted")
        current = str(found.get("current") or "")
    except (FileNotFoundError, NotADirectoryError):
        current = ""
    except (OSError, ValueError, AttributeError) as error:
        raise AuthenticationError(
            f"Where `pulumi login` keeps state cannot be read in {path}: {error}.",
            hint="Say it yourself: set PULUMI_BACKEND_URL.",
        ) from error
    if not current and environ.get("PULUMI_ACCESS_TOKEN"):
        return environ.get("PULUMI_API") or _CLOUD
    return current
