"""D: Terragrunt over OpenTofu or Terraform, where it is on PATH: another engine, for context."""

from __future__ import annotations

import shutil

from tests.benchmarks.room import Room
from tests.benchmarks.timing import Arm

CHAIN = 5
MODULE = """\
variable "upstream" {
  type    = string
  default = "start"
}
resource "terraform_data" "part" {
  input = "${var.upstream}/UNIT"
}
output "value" {
  value = terraform_data.part.output
}
"""
DEPENDENT = """\
dependency "before" {
  config_path  = "../PREVIOUS"
  mock_outputs = { value = "none" }
}
inputs = { upstream = dependency.before.outputs.value }
"""


def present() -> bool:
    """Whether there is Terragrunt, and something that it can drive."""
    return shutil.which("terragrunt") is not None and any(map(shutil.which, ("tofu", "terraform")))


def chain() -> Arm:
    """The chain of five as units that depend on each other."""
    apply = "terragrunt run --all --non-interactive --working-dir units -- apply -auto-approve"
    command = ["sh", "-c", f"{apply} >&2 && echo done"]
    return Arm("D", dict.fromkeys(("fresh", "no-op"), command), _answers(), _prepare)


def _answers() -> dict[str, str]:
    return dict.fromkeys(("fresh", "no-op"), "done")


def _prepare(room: Room) -> None:
    for number in range(1, CHAIN + 1):
        unit = room.path / "units" / f"s{number}"
        unit.mkdir(parents=True)
        (unit / "main.tf").write_text(MODULE.replace("UNIT", unit.name))
        after = DEPENDENT.replace("PREVIOUS", f"s{number - 1}") if number > 1 else ""
        (unit / "terragrunt.hcl").write_text(after)
