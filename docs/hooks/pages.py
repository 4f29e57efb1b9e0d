"""Which pages the site has: those of docs/, what else in the repository is read, and the API.

README, CHANGELOG and CONTRIBUTING, the examples and the READMEs of `stacks/` become pages beside
those of `docs/`. A link between any two of them leads from page to page, as it leads from file to
file where the repository is shown.
"""

from __future__ import annotations

import json
import posixpath
import re
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files, InclusionLevel

from alma.reports.formats import schema as report_schema
from alma.saga.yaml.schema import VERSION, saga_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PUBLIC = ("alma", "alma.steps", "alma.testing")
SHOWN = {".py": "python", ".yaml": "yaml", ".yml": "yaml"}
"""What is shown of the examples, by the ends of their names, and its language."""
LINK = re.compile(r"(\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?\)")


def places() -> dict[str, str]:
    """Where each file of the repository stands on the site, by its path."""
    found = {
        "README.md": "index.md",
        "CHANGELOG.md": "changelog.md",
        "CONTRIBUTING.md": "contributing.md",
    }
    for path in (ROOT / "docs").rglob("*.*"):
        name = path.relative_to(ROOT).as_posix()
        found[name] = name.removeprefix("docs/")
    for path in (ROOT / "examples").rglob("*"):
        if path.suffix in SHOWN:
            name = path.relative_to(ROOT).as_posix()
            found[name] = f"{name.removesuffix('.py')}.md"
    for path in (ROOT / "stacks").glob("*/README.md"):
        found[path.relative_to(ROOT).as_posix()] = f"stacks/{path.parent.name}.md"
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside docs/, or in no file."""
    for name, uri in places().items():
        if not name.startswith("docs/"):
            text = (ROOT / name).read_text()
            if language := SHOWN.get(Path(name).suffix):
                text = f"# {name}\n\n```{language}\n{text}```\n"
            page = File.generated(config, uri, content=text)
            if "/" in uri:  # the pages that tell of them lead there
                page.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(page)
    files.append(File.generated(config, "api.md", content="\n".join(api())))
    for name, schema in ((f"saga-{VERSION}", saga_schema()), ("report-1", report_schema())):
        text = json.dumps(schema, indent=2)
        files.append(File.generated(config, f"schema/{name}.json", content=text))
    return files


def api() -> Iterator[str]:
    """The page of the public names, which mkdocstrings fills in."""
    yield "# Python API\n"
    told: set[str] = set()
    for package in PUBLIC:
        yield f"## {package}\n"
        module = import_module(package)
        for name in sorted({*module.__all__} - told):
            public = getattr(module, name)
            # `alma.runner.resume` is a module as well: of a function, where it is written.
            home = public.__module__ if isfunction(public) else package
            yield f"::: {home}.{name}\n"
            told.add(name)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs gives them by name
    """Lead links to where their files stand on the site; leave out the marks for the tests."""
    sites = places()
    here = page.file.src_uri
    home = next((name for name, uri in sites.items() if uri == here), here)

    def lead(found: re.Match[str]) -> str:
        start, target, anchor = found.groups(default="")
        to = sites.get(posixpath.normpath(posixpath.join(posixpath.dirname(home), target)))
        if to is None:
            return found[0]
        return f"{start}{posixpath.relpath(to, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(lead, re.sub(r"^<!--.*?-->\n", "", markdown, flags=re.MULTILINE))
