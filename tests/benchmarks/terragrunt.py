"""D: Terragrunt over OpenTofu or Terraform: another engine, for context.

`terraform_data` is built into both, as `pulumi.Stash` is into Pulumi's: no plugin is started.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

from tests.benchmarks.room import House, Room, script
from tests.benchmarks.stacks import CHAIN, PARALLEL, WIDE
from tests.benchmarks.timing import Arm, WrongAnswerError, interleave

UNIT = """\
variable "upstream" {
  type    = string
  default = "start"
}
resource "terraform_data" "part" {
  input = "${var.upstream}/NAME"
}
output "value" {
  value = terraform_data.part.output
BROKEN}
"""
# Known when the resource is there, and not before, as in the program of the other arms.
BROKEN = """\
  precondition {
    condition     = terraform_data.part.output == ""
    error_message = "it fails on purpose"
  }
"""
DEPENDENT = """\
dependency "before" {
  config_path = "../PREVIOUS"
}
inputs = { upstream = dependency.before.outputs.value }
"""


def missing(house: House) -> str:
    """Why there is nothing to measure: a few words, or none when it has done the chain once."""
    if shutil.which("terragrunt") is None:
        return "it is not on PATH"
    if engine() is None:
        return "neither OpenTofu nor Terraform is on PATH"
    try:
        interleave(house, [chain()], 0, label="terragrunt")
    except WrongAnswerError as error:
        return f"it did not do the work, {str(error).splitlines()[0]}"
    return ""


def engine() -> str | None:
    """The name of what it drives."""
    return next(filter(shutil.which, ("tofu", "terraform")), None)


def chain() -> Arm:
    """Five units in a row that hand on an output; fresh, then once more with nothing to do."""
    last = "/".join(["start", *(f"s{number}" for number in range(1, CHAIN + 1))])
    phases = dict.fromkeys(("fresh", "no-op"), _command("chain"))
    return Arm("D", phases, dict.fromkeys(phases, last), partial(_units, count=CHAIN, chained=True))


def wide() -> Arm:
    """Ten units that do not depend on each other, four at a time."""
    prepare = partial(_units, count=WIDE, chained=False)
    return Arm("D", {"fresh": _command("wide")}, {"fresh": str(WIDE)}, prepare)


def failure() -> Arm:
    """The last of five fails, and `destroy` over all; what is left is not verified."""
    answer = {"undone": f"{CHAIN - 1} DESTROYED"}
    prepare = partial(_units, count=CHAIN, chained=True, broken=True)
    return Arm("D", {"undone": _command("broken")}, answer, prepare)


def _command(work: str) -> list[str]:
    return script("terragrunt.sh", _all(), engine(), PARALLEL, work)


def _all() -> str:
    """How it is told to take all units: another way since its command line was redesigned."""
    asked = subprocess.run(
        ["terragrunt", "run", "--help"], capture_output=True, text=True, check=False
    )
    return "run --all" if "--all" in asked.stdout else "run-all"


def _units(room: Room, *, count: int, chained: bool, broken: bool = False) -> None:
    for number in range(1, count + 1):
        unit = room.path / "units" / f"s{number}"
        unit.mkdir(parents=True)
        ending = BROKEN if broken and number == count else ""
        (unit / "main.tf").write_text(UNIT.replace("NAME", unit.name).replace("BROKEN", ending))
        before = DEPENDENT.replace("PREVIOUS", f"s{number - 1}")
        (unit / "terragrunt.hcl").write_text(before if chained and number > 1 else "")
