"""The application process: answers from the database. Standard library only.

Takes `{"name", "db_url", "db_password", "port"}` as JSON on standard input.
`GET /` gives `{"server", "greeting", "messages"}`, `GET /healthz` gives 200 or 503.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stacks.local import store, web


class Handler(web.JsonHandler):
    """Answers from the database, which is read anew (password included) for every request."""

    server_label: str
    database: Path
    password: str

    def do_GET(self) -> None:
        """`/` and `/healthz`; anything else is 404."""
        path = self.path.partition("?")[0]
        if path not in ("/", "/healthz"):
            self.reply(404, {"error": f"there is nothing at {path}"})
            return
        try:
            greeting, *rows = store.messages(self.database, self.password)
        except store.StoreError as error:
            self.reply(503, {"server": self.server_label, "error": str(error)})
            return
        if path == "/healthz":
            self.reply(200, {"server": self.server_label, "status": "ok"})
        else:
            self.reply(200, {"server": self.server_label, "greeting": greeting, "messages": rows})


def main() -> None:
    """Read the settings, try the database, serve."""
    parser = argparse.ArgumentParser(prog="python -m stacks.local.app")
    parser.add_argument("--ready-fd", type=int)
    ready_fd = parser.parse_args().ready_fd
    settings = json.load(sys.stdin)
    Handler.server_label = settings["name"]
    Handler.password = settings["db_password"]
    try:
        Handler.database = store.path_of(settings["db_url"])
        store.messages(Handler.database, Handler.password)
    except (store.StoreError, ValueError) as error:
        web.refuse(ready_fd, str(error))
    web.run(Handler, settings["port"], ready_fd)


if __name__ == "__main__":
    main()
