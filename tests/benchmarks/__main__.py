"""`python -m tests.benchmarks`: measure, tell, draw; `nox -s bench` calls it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import machine, page
from tests.benchmarks.results import Results, table
from tests.benchmarks.room import House
from tests.benchmarks.sections import SECTIONS, Session
from tests.benchmarks.timing import tell


def main() -> int:
    """Measure what is asked for; 0 whether or not targets are reached, for it is a measurement."""
    options = _options()
    os.environ.setdefault("PULUMI_SKIP_UPDATE_CHECK", "1")
    os.environ.setdefault("CHECKPOINT_DISABLE", "1")  # the same, for Terraform
    begun = machine.load()
    with TemporaryDirectory(prefix="alma-bench-") as directory:
        (scratch := Path(directory) / "scratch").mkdir()
        session = Session(House(Path(directory)), scratch, options.repeats, Results(), {})
        for name in options.only:
            tell(f"== {name}, load {machine.load()}")
            SECTIONS[name](session)
    found = session.results
    facts = machine.facts() | {
        "load": f"{begun} before, {machine.load()} after",
        "repeats": str(options.repeats),
    }
    known = (f"{name}: {value}" for name, value in facts.items())
    for line in (*table(found.rows), "", *known, *found.notes):
        sys.stdout.write(f"{line}\n")
    out = page.DOCS / "img" if options.docs else options.out
    drawn = page.draw(out, found, session.lines)
    for name, part in found.documents().items():
        drawn.append(out / name)
        drawn[-1].write_text(
            json.dumps({"facts": facts, **part}, indent=1) + "\n", encoding="utf-8"
        )
    if options.docs and found.rows:
        page.write(found, facts)
    sys.stdout.write("\n".join(["", *map(str, drawn), ""]))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--repeats", type=int, default=20, help="of each arm (20)")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(SECTIONS),
        metavar="NAME,...",
        help=f"of: {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="for charts and JSON (build/bench)"
    )
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md instead")
    options = parser.parse_args()
    if unknown := sorted(set(options.only) - set(SECTIONS)):
        parser.error(f"unknown part: {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
