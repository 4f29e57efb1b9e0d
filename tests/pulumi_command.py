"""The `pulumi` that tests find on PATH: the CLI itself, after three questions of the shell's.

The CLI derives the key of a passphrase with a million rounds, in every process that opens a
secret. So a new stack whose passphrase is alma's own (a preview's is `preview`) has its key in the
tests' vault instead. A passphrase that a test has chosen counts as it does for a user, unless
the test says that it is of no matter: `ALMA_TEST_PASSPHRASE=never`.
"""

from __future__ import annotations

from pathlib import Path

_SCRIPT = """#!/bin/sh
if [ -n "$ALMA_TEST_ARGV" ]; then printf '%s\\n' "$*" >> "$ALMA_TEST_ARGV"; fi
case "$*" in
*--secrets-provider*) ;;
*"stack init"*)
    case "$ALMA_TEST_PASSPHRASE:${{PULUMI_CONFIG_PASSPHRASE-preview}}" in
    never:* | :preview) set -- "$@" --secrets-provider hashivault://key ;;
    esac
esac
: "${{VAULT_SERVER_URL:={vault}}}" "${{VAULT_SERVER_TOKEN:=any}}"
export VAULT_SERVER_URL VAULT_SERVER_TOKEN
exec "{pulumi}" "$@"
"""


def install(directory: Path, pulumi: str, vault: str) -> Path:
    """Put it into the directory, for this CLI and this vault; returns the command."""
    command = directory / "pulumi"
    command.write_text(_SCRIPT.format(pulumi=pulumi, vault=vault))
    command.chmod(0o755)
    return command
