"""The pages of the documents, and what stands at a mark in one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCS = [README, ROOT / "CHANGELOG.md", CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md"))]


def block(text: str, mark: str) -> str:
    """The content of the code block after `<!-- mark -->`."""
    found = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found, f"no block is marked {mark}"
    return found[1]


def table(mark: str, page: str = "architecture.md") -> list[list[str]]:
    """The cells of the table after `<!-- mark -->`, less its head."""
    text = (ROOT / "docs" / page).read_text().partition(f"<!-- {mark} -->")[2]
    rows = text.strip().partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
