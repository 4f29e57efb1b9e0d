"""The help of every command, as the program itself gives it, in the place that cli.md keeps."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import TYPE_CHECKING

import click

from alma.cli.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PLACE = re.compile(r"<!-- commands: .*? -->.*?<!-- end -->\n", re.DOTALL)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs gives them by name
    """Put the commands where tables stand for those who read the page without the site."""
    if page.file.src_uri != "cli.md":
        return markdown
    before, after = PLACE.split(markdown)  # fails where no such place is left
    return "\n".join([before, *commands(), after])


def commands() -> Iterator[str]:
    """A section for each command; the options that all of them take are told once, at the head."""
    top = click.Context(program, info_name="alma-pulumi", **program.context_settings)
    yield from options(top, frozenset())
    shared = frozenset(name for option in program.get_params(top) for name in option.opts)
    for context in below(top):
        name = context.command_path.removeprefix("alma-pulumi ")
        usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
        yield f"### {name}\n\n```text\n{usage}\n```\n\n{plain(context.command.help or '')}\n"
        yield from options(context, shared)


def below(context: click.Context) -> Iterator[click.Context]:
    """All commands of a group, in the order in which `--help` has them."""
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else ():
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            inner = click.Context(command, info_name=name, parent=context)
            yield inner
            yield from below(inner)


def options(context: click.Context, told: frozenset[str]) -> Iterator[str]:
    """The table of a command's options, but for those that are told already."""
    own = (each for each in context.command.get_params(context) if not told & {*each.opts})
    if rows := [row for each in own if (row := each.get_help_record(context)) and row[1]]:
        yield "| option | means |\n| --- | --- |"
        for names, text in rows:
            yield f"| `{names}` | {plain(text)} |"
        yield ""


def plain(text: str) -> str:
    """Text of a help as Markdown, in which nothing is markup but what stands in backticks."""
    parts = re.split(r"(`[^`]*`)", cleandoc(text).replace("\b\n", ""))
    parts[::2] = [re.sub(r"([*_<\[\]|\\])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
