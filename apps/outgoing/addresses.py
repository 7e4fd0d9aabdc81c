"""Which machines the hub calls for somebody, so that it can't be made to call for an attacker.

A name is looked up once, and the call goes to the address that was checked: between a check
of the name and a second look-up, its answer may change (DNS rebinding). Cloud machines tell
their secrets at link-local addresses; those are refused always. The hub's own machine and its
network are refused unless the caller allows them, which is sensible where only the owner
calls the hub.

https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from apps.outgoing.errors import BadTarget

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LookUp = Callable[[str, int], list[str]]

LONGEST_URL = 2000

_METADATA = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))
)
"""Of AWS, Alibaba Cloud and Oracle Cloud."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Target:
    """A checked address. ``host`` is for the Host header and the certificate."""

    scheme: str
    host: str
    port: int
    path: str
    address: str
    """Where to connect to; nothing is looked up again."""

    @property
    def netloc(self) -> str:
        """For the Host header: the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def look_up(host: str, port: int) -> list[str]:
    """Every address of a name. Raises BadTarget where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadTarget(f"There is no machine {host!r} to be found. Check the name.") from error
    return [str(each[4][0]) for each in found]


def target_of(url: str, *, allow_private: bool = False, look_up: LookUp = look_up) -> Target:
    """Where ``url`` leads. Raises BadTarget where the hub must not call it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget("This is no address. Write it as https://HOST/PATH.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > LONGEST_URL:
        raise BadTarget("This is no address of a web server. Write it as https://HOST/PATH.")
    if any(not "!" <= letter <= "~" for letter in url):
        raise BadTarget("The address has spaces, control or non-ASCII characters. Encode them.")
    if parts.username is not None or parts.password is not None:
        raise BadTarget("An address with a name or password in it is not called. Leave them out.")
    port = port or {"http": 80, "https": 443}[parts.scheme]
    found = look_up(parts.hostname, port)
    # All of them: one good address must not vouch for a bad one.
    for text in found:
        _check(text, parts.hostname, allow_private=allow_private)
    if not found:
        raise BadTarget(f"There is no machine {parts.hostname!r} to be found. Check the name.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, found[0])


def _check(text: str, host: str, *, allow_private: bool) -> None:
    address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    never = address.is_link_local or address.is_multicast or address.is_unspecified
    reserved = address.is_reserved and not address.is_loopback  # ::1 is both
    if never or reserved or _is_metadata(address):
        raise BadTarget(f"{host} leads to {address}, which no web server of yours has.")
    if not address.is_global and not allow_private:
        raise BadTarget(
            f"{host} leads to {address}, inside the hub's own network. A hub that others can "
            "reach calls only public addresses."
        )


def _plain(address: Address) -> Address:
    """An IPv4 address that is written into an IPv6 one means itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_metadata(address: Address) -> bool:
    """Where clouds tell machines their secrets, beside the link-local address of most."""
    return address in _METADATA
