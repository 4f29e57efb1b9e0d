"""Terraform modules that need no provider and yet make something: files, by provisioners."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from alma import Saga, Secret
from alma.core.events import Process
from alma.system.processes import find
from tests.steps.conftest import CANARY, Place
from tests.waiting import until

MAIN = """
variable "world" { type = string }
variable "names" { type = list(string) }
variable "password" { type = string }
variable "gate" {
  type    = string
  default = ""
}

resource "terraform_data" "thing" {
  for_each = toset(var.names)
  input    = "${var.world}/${each.key}"

  provisioner "local-exec" {
    environment = { PASSWORD = var.password, FILE = self.input }
    command     = <<-SHELL
      echo "the provisioner knows $PASSWORD"
      case "$FILE" in *broken) echo "no room for it" >&2; exit 3;; esac
      echo "made" >> "$FILE"
    SHELL
  }

  provisioner "local-exec" {
    when    = destroy
    command = "[ ! -e ${self.input}.stuck ] && rm -f ${self.input}"
  }
}

# Terraform runs no destroy provisioner of what it has not finished: this one makes nothing.
resource "terraform_data" "gate" {
  count      = var.gate == "" ? 0 : 1
  depends_on = [terraform_data.thing]

  provisioner "local-exec" {
    environment = { GATE = var.gate }
    command     = "touch $GATE.begun; until [ -e $GATE ]; do sleep 0.05; done"
  }
}

output "files" { value = [for thing in terraform_data.thing : thing.output] }
output "token" {
  value     = "token-of-${join("-", var.names)}"
  sensitive = true
}
"""

S3_BACKEND = """
terraform {{
  backend "s3" {{
    bucket                      = "{bucket}"
    key                         = "{key}"
    region                      = "{region}"
    endpoints                   = {{ s3 = "{url}" }}
    access_key                  = "test"
    secret_key                  = "test"
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = true
    skip_region_validation      = true
    skip_s3_checksum            = true
  }}
}}
"""


def module(directory: Path, *, backend: str = "") -> Path:
    """Write the module there."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.tf").write_text(MAIN + backend)
    return directory


SAGA = """
import os
from pathlib import Path
from alma import Saga, Secret

saga = Saga("shop", stack="dev")
here = Path(__file__).parent
saga.add_terraform(
    "database",
    here / "module",
    variables={
        "world": str(here / "world"),
        "names": os.environ.get("NAMES", "a b").split(),
        "password": Secret("canary-7Qx9wV-secret"),
        "gate": os.environ.get("GATE", ""),
    },
    timeout=float(os.environ.get("TIMEOUT", "60")),
)

def last():
    if os.environ.get("FAIL"):
        raise RuntimeError("asked to")

saga.add_step("last", action=last, compensation="none")
"""


def saga_of(place: Place, *names: str, **options: Any) -> Saga:
    """One Terraform step, and an action that fails when it is told to."""
    saga = Saga("shop", stack="dev")
    variables = {"world": str(place.world), "names": list(names), "password": Secret(CANARY)}
    saga.add_terraform("database", place.root / "module", variables=variables, **options)
    return saga


def broken() -> None:
    raise RuntimeError("asked to")


def cut_off(place: Place, *, names: str) -> str:
    """Kill a run and its Terraform in the middle of a create; returns the gate."""
    gate = str(place.root / "gate")
    runner = place.start("up", "saga.py", GATE=gate, NAMES=names)
    until(Path(f"{gate}.begun").exists)
    place.kill(runner)
    spawned = [e for e in place.document("history", "latest") if e["type"] == "ProcessSpawned"]
    cli = Process(**spawned[-1]["process"])
    os.killpg(cli.pid, signal.SIGKILL)
    until(lambda: find(cli) is None)
    return gate
