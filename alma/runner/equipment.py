"""What steps that are not Pulumi need on this machine, for `doctor`. Touches nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from importlib import metadata

from alma.errors import ToolError
from alma.runner.checks import Check
from alma.steps.ansible import playbook as ansible
from alma.steps.terraform import cli as terraform


def check_equipment(environ: Mapping[str, str]) -> Iterator[Check]:
    """Terraform, Ansible and httpx: each is missed only by steps of its kind."""
    try:
        path = terraform.locate("", environ)
        yield Check(name="terraform", level="ok", message=path)
    except ToolError as error:
        yield _missing("terraform", error)
    try:
        ansible.require(environ)
        version = metadata.version("ansible-runner")
        yield Check(name="ansible", level="ok", message=f"ansible-runner {version}")
    except (ToolError, metadata.PackageNotFoundError) as error:
        yield _missing("ansible", error)
    if importlib.util.find_spec("httpx") is None:
        message = "httpx is not installed; only steps that send requests need it"
        yield Check(
            name="http", level="warn", message=message, mend="pip install 'alma-pulumi[http]'"
        )
    else:
        version = metadata.version("httpx")
        yield Check(name="http", level="ok", message=f"httpx {version}")


def _missing(name: str, error: Exception) -> Check:
    words = error.message if isinstance(error, ToolError) else str(error)
    hint = error.hint if isinstance(error, ToolError) else f"pip install 'alma-pulumi[{name}]'"
    message = f"{words.rstrip('.')}; only steps of that kind need it"
    return Check(name=name, level="warn", message=message, mend=hint)
