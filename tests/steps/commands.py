"""A program as people have them: it makes a thing, takes it away, and says whether it is there."""

from __future__ import annotations

from pathlib import Path

PROGRAM = """#!/bin/sh
# thing.sh do|undo|check: a file of $NAME in ./world; each call is noted in ./calls
echo "$1 $ALMA_KEY ${ALMA_IN_DOUBT:-0}" >> calls
echo "the password is $PASSWORD"
gate() {
    [ -z "$GATE" ] && return
    touch "$GATE.begun"
    while [ ! -e "$GATE" ]; do sleep 0.02; done
}
case $1 in
do)
    [ -e away ] && { echo "no connection to the service"; exit 75; }
    [ -e "world/$NAME" ] && exit 3
    touch "world/$NAME"
    printf 'id=%s\\ntoken=token-of-%s\\n' "$NAME-1" "$NAME" > "$ALMA_OUTPUT"
    gate
    [ -e broken ] && { echo "no room for it"; exit 7; }
    ;;
undo)
    [ -e stuck ] && { echo "it is in use"; exit 9; }
    cp "$ALMA_RESULT" result
    [ -e "world/$NAME" ] || exit 4
    [ -e lies ] || rm "world/$NAME"
    ;;
check)
    [ -e blind ] && { echo "no connection to the service"; exit 75; }
    [ -e "world/$NAME" ] || exit 1
    ;;
esac
exit 0
"""

SAGA = """
import os
from pathlib import Path
from alma import Saga, Secret

saga = Saga("shop", stack="dev", on_failure=os.environ.get("POLICY", "compensate"))
saga.add_command(
    "thing",
    do=["./thing.sh", "do"],
    undo=["./thing.sh", "undo"],
    check=["./thing.sh", "check"],
    already=3,
    gone=[1, 4],
    secret_outputs=["token"],
    inputs={
        "NAME": "a",
        "PASSWORD": Secret("canary-7Qx9wV-secret"),
        "GATE": os.environ.get("GATE", ""),
    },
)
"""

LAST = 'saga.add_step("last", action=lambda: 1 / 0, compensation="none")\n'


def program(directory: Path) -> None:
    """Write it there."""
    path = directory / "thing.sh"
    path.write_text(PROGRAM)
    path.chmod(0o755)


def calls(directory: Path) -> list[list[str]]:
    """What it was called for: do, undo or check; with which key; and whether it was in doubt."""
    path = directory / "calls"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
