from __future__ import annotations

import json
import subprocess
from pathlib import Path

CONFIGURATION = """\
resource "terraform_data" "one" {
  input = "hello"
}
output "said" {
  value = terraform_data.one.output
}
"""


def test_a_configuration_is_applied_with_no_provider_to_download(
    tofu: Path, tmp_path: Path
) -> None:
    (tmp_path / "main.tf").write_text(CONFIGURATION)

    def run(*arguments: str) -> str:
        command: list[str | Path] = [tofu, f"-chdir={tmp_path}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    run("init", "-input=false")
    run("apply", "-input=false", "-auto-approve")
    assert json.loads(run("output", "-json"))["said"]["value"] == "hello"
    run("destroy", "-input=false", "-auto-approve")
    assert run("state", "list") == ""
