"""From which address a request came, through proxies that are trusted and past those that are not.

Pure: a peer and headers in, an address out. What is counted by address is limits.py's business. What surprises: lists
of addresses are read from the right, because only the last entry was written by our own proxy; all before it is what
the client said, and a limit that believes it limits nobody.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal

from starlette.datastructures import Headers

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ForwardedHeader = Literal["x-forwarded-for", "forwarded"]
UNKNOWN = "unknown"
"""Where a peer has no address, as on a Unix socket: all of them count together."""
V6_PREFIX = 64
"""A household has that many addresses of IPv6 at its command, and uses another one whenever it likes."""
FORWARDING = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
"""Headers that a request has when somebody passed it on."""
_FOR = re.compile(r'(?:^|;)\s*for=(?:"([^"]*)"|([^";,\s]*))', re.IGNORECASE)


def client_address(
    peer: str | None, headers: Headers, trusted: Sequence[Network], header: ForwardedHeader
) -> Address | None:
    """Give the address of the client; None: nobody can tell."""
    address = _read(peer or "")
    if address is None or not _among(address, trusted):
        return address
    for entry in reversed(_entries(headers, header)):
        before = _read(entry)
        if before is None:  # `unknown`, or nonsense: the proxy that passed it on is the last that is known
            return address
        address = before
        if not _among(address, trusted):
            return address
    return address


def counted_as(address: Address | None) -> str:
    """Name the address under which requests are counted together."""
    if address is None:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, V6_PREFIX), strict=False))
    return str(address)


def networks(said: Sequence[str]) -> tuple[Network, ...]:
    """Read networks as settings write them."""
    return tuple(ipaddress.ip_network(network) for network in said)


def _entries(headers: Headers, header: ForwardedHeader) -> list[str]:
    elements = [element.strip() for line in headers.getlist(header) for element in line.split(",")]
    if header == "x-forwarded-for":
        return elements
    named = [_FOR.search(element) for element in elements]
    return [(found[1] or found[2] or "") if found else "" for found in named]


def _read(said: str) -> Address | None:
    plain = said.strip().strip('"')
    if plain.startswith("["):  # [2001:db8::1]:4711
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:  # 192.0.2.1:4711
        plain = plain.partition(":")[0]
    try:
        address = ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _among(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
