"""Config that makes a busybox image a database, a server or a proxy: to try the stacks with.

Lay it under the config of a step: `config={**busybox.database(), "image": "busybox:1"}`. The
database is an HTTP server that asks for the password, over a row in the volume. A server answers
with what it reads there, and the proxy with what it gets from one of its upstreams.
"""

from __future__ import annotations

from typing import Any

# A busybox that is linked statically cannot find names by itself; its nslookup can. The password
# reaches nc by a pipe: what is an argument of a process, others on the host can read.
_GET = """\
get() {
    case $1 in
        *[!0-9.]*) ip=$(nslookup "$1" | sed -n 's/^Address: //p' | tail -n 1) ;;
        *) ip=$1 ;;
    esac
    printf 'GET / HTTP/1.0\\r\\n%b\\r\\n' "$3" | nc "$ip" "$2" > /tmp/page.$$
    head -n 1 /tmp/page.$$ | grep -q ' 200 ' && sed '1,/^\\r*$/d' /tmp/page.$$
    got=$?; rm /tmp/page.$$; return $got
}
password() {
    printf 'Authorization: Basic %s\\\\r\\\\n' "$(printf 'app:%s' "$DB_PASSWORD" | base64)"
}
"""
_SERVER = """\
if [ -z "$DB_HOST" ]; then row=${ROW:-no database}
else row=$(get "$DB_HOST" "$DB_PORT" "$(password)") || return 1; fi
echo "$SERVER: $row\""""
_PROXY = """\
set -- $UPSTREAMS
shift $(($(cut -c 1-4 /proc/sys/kernel/random/uuid | sed 's/^/0x/') % $#))
at=${1#http://}
get "${at%%:*}" "${at##*:}\""""


def database(row: str = "one row") -> dict[str, Any]:
    """For `stacks.docker.database`. The row is written when the container starts."""
    prepare = 'echo "$ROW" > /data/index.html; echo "/:app:$DB_PASSWORD" > /etc/httpd.conf'
    check = _GET + 'get 127.0.0.1 5432 "$(password)"'
    return {
        "mount": "/data",
        "password_env": "DB_PASSWORD",
        "env": {"ROW": row},
        **_serve(prepare, "/data", 5432, check),
    }


def server() -> dict[str, Any]:
    """For `stacks.docker.servers`. Without a `db_host` it answers with the variable ROW."""
    return _serve(_page(_SERVER), "/srv", 8080, _GET + "get 127.0.0.1 8080")


def proxy() -> dict[str, Any]:
    """For `stacks.docker.proxy`."""
    return _serve(_page(_PROXY), "/srv", 80, _GET + "get 127.0.0.1 80")


def _page(body: str) -> str:
    """Prepare `/`: what the shell commands print, or 502 when they fail."""
    return f"""mkdir -p /srv/cgi-bin; : > /etc/httpd.conf
cat > /srv/cgi-bin/index.cgi <<'END'
#!/bin/sh
{_GET}
page() {{
{body}
}}
if text=$(page); then printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "$text"
else printf 'Status: 502 Bad Gateway\\r\\n\\r\\nno answer from behind\\n'; fi
END
chmod 755 /srv/cgi-bin/index.cgi"""


def _serve(prepare: str, home: str, port: int, check: str) -> dict[str, Any]:
    # Process 1 of a container ends at a signal only if it asks for it.
    command = (
        f"trap 'exit 0' TERM\n{prepare}\nhttpd -f -p {port} -h {home} -c /etc/httpd.conf & wait"
    )
    return {
        "command": ["sh", "-c", command],
        "health": ["CMD", "sh", "-c", check],
        "health_interval": "1s",
    }
