"""Who may look: by a token or a proxy's word, under a name that is this server's own.

A page on another site can make a browser ask any address, this one too. It cannot read the token,
has not the cookie, cannot forge `Origin`; and a name that its owner points at this machine is none
of ours.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

SHORTEST: Final = 16
"""Characters of a token that somebody makes up."""


def new_token() -> str:
    """256 bits that nobody guesses, as a URL takes them."""
    return secrets.token_urlsafe(32)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it there."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


class Access(Struct, frozen=True, kw_only=True):
    """`user_header` is where a proxy says who asks: then it is the proxy that lets people in.

    `names` are those by which the server is reached besides its own, on whichever port.
    """

    host: str
    port: int
    token: str = field(default_factory=new_token)
    user_header: str = ""
    names: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        """Where it is, for people; without the token."""
        host = self.host
        if (address := _address(host)) is not None and address.is_unspecified:
            host = "localhost"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def cookie_name(self) -> str:
        """Cookies know no ports: two servers on one host have two."""
        return f"alma-ui-{self.port}"

    @property
    def cookie(self) -> str:
        """What a browser keeps in the token's place."""
        return self._derived("cookie")

    def csrf(self, user: str) -> str:
        """What a form of ours holds, and no other site can know."""
        return self._derived(f"form of {user}")

    def is_token(self, given: str) -> bool:
        """Whether that is the token; in the same time whatever it is."""
        return _same(given, self.token)

    def is_cookie(self, given: str) -> bool:
        """Whether that is what a browser was given for the token."""
        return _same(given, self.cookie)

    def is_csrf(self, given: str, user: str) -> bool:
        """Whether a form of ours was sent by whoever it was made for."""
        return _same(given, self.csrf(user))

    def is_own(self, host: str) -> bool:
        """Whether a `Host` names this server: by an address, `localhost`, or a name it is given.

        An address cannot be pointed elsewhere, as a name can. On a loopback address it must be one.
        """
        name, _, port = host.rpartition(":") if _has_port(host) else (host, "", "80")
        name = name.strip("[]").lower().rstrip(".")
        if name in self.names:
            return True
        if port != str(self.port):
            return False
        if is_loopback(self.host):
            return is_loopback(name)
        return name in ("localhost", self.host.lower()) or _address(name) is not None

    def _derived(self, what: str) -> str:
        return hmac.new(self.token.encode(), what.encode(), "sha256").hexdigest()


def is_from(origin: str, host: str) -> bool:
    """Whether an `Origin` is the page's own: that of the `Host` it was asked by."""
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and place.lower() == host.lower()


def one(values: Iterable[str]) -> str:
    """The header's value; empty where there is none, or more than one."""
    found = list(values)
    return found[0].strip() if len(found) == 1 else ""


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.encode())


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and not host.endswith("]")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
