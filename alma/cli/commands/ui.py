"""`alma-pulumi ui`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say

if TYPE_CHECKING:
    from alma.web.site import Site

PORT: Final = 2562
"""A-L-M-A on a telephone."""
VARIABLE: Final = "ALMA_UI_TOKEN"
_NEEDED: Final = ("starlette", "uvicorn", "jinja2", "python_multipart")


@click.command("ui")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where it is reached. Another than this machine's own needs --token or --behind-proxy.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="0 takes one that is free.",
)
@click.option(
    "--token",
    envvar=VARIABLE,
    metavar="TOKEN",
    help="What lets somebody in, of at least 16 characters. By default a new one is made each "
    "time. Others see a command line: better in $ALMA_UI_TOKEN.",
)
@click.option(
    "--behind-proxy",
    metavar="HEADER",
    help="Let in whomever a proxy names in this header, without a token. Nobody but the proxy may "
    "be able to reach ADDRESS.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name by which it is reached besides its address, such as the proxy's. Repeatable.",
)
@click.option("--actions", is_flag=True, help="Not only to look: approve, roll back and the like.")
@click.option("--open", "opens", is_flag=True, help="Open it in a browser.")
@shared_options
@pass_shared
def command(
    shared: Invocation,
    host: str,
    port: int,
    token: str | None,
    behind_proxy: str | None,
    names: tuple[str, ...],
    *,
    actions: bool,
    opens: bool,
) -> int:
    """Show the runs in a browser: live, with their graphs, time lines and logs.

    It ends with Ctrl-C. Without --actions nothing can be changed by it, and the journal is only
    read.
    """
    _require_libraries()
    os.environ.pop(VARIABLE, None)  # it is no business of what is started from here
    from alma.journal import open_journal
    from alma.journal.address import absolute_address
    from alma.web.access import Access, new_token
    from alma.web.server import listen, serve
    from alma.web.site import Site

    where = absolute_address(shared.require_journal())
    _check(host, token, behind_proxy)
    with open_journal(where, write=False) as journal:
        journal.runs(limit=1)  # what cannot be read is told here, not page by page
    listening = listen(host, port)
    with listening:
        access = Access(
            host=host,
            port=listening.getsockname()[1],
            token=token or new_token(),
            user_header=(behind_proxy or "").lower(),
            names=frozenset(name.lower().rstrip(".") for name in names),
        )
        site = Site(where, access, told=shared.journal, actions=actions)
        serve(site, listening, lambda: _ready(shared, site, opens=opens))
    return 0


def _ready(shared: Invocation, site: Site, *, opens: bool) -> None:
    access = site.access
    url = access.url if access.user_header else f"{access.url}?token={access.token}"
    if shared.json:
        shared.print_json({"url": url})
    else:
        say(f"The runs of {shared.where} are at {url}")
        say("Ctrl-C ends it.", err=True)
    if opens:
        import webbrowser

        from alma.web.access import new_token

        # A browser's command line is seen by others: what stands there opens once.
        site.codes.add(code := new_token())
        webbrowser.open(access.url if access.user_header else f"{access.url}?code={code}")


def _require_libraries() -> None:
    from alma.errors import DefinitionError

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise DefinitionError(
            f"`alma-pulumi ui` needs {missing[0]}, which is not installed.",
            hint="pip install 'alma-pulumi[ui]'",
        )


def _check(host: str, token: str | None, behind_proxy: str | None) -> None:
    """Nobody is let in from elsewhere unless somebody has said how."""
    from alma.web.access import SHORTEST, is_loopback

    if token and behind_proxy:
        raise click.UsageError("Give --token or --behind-proxy: one of them lets people in.")
    if token is not None and len(token) < SHORTEST:
        raise click.UsageError(f"A token has at least {SHORTEST} characters.")
    if not (token or behind_proxy or is_loopback(host)):
        raise click.UsageError(
            f"{host} can be reached from other machines: give a --token, or with --behind-proxy "
            "the header in which a proxy names its user."
        )
