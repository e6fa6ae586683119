"""Which addresses a URL that somebody sent may lead to: public ones, and those that the operator names.

Whoever may submit a URL makes this machine open a connection, so the machine must not be led to its own network: to a
database on loopback, a router, or the metadata server that gives out a cloud's credentials. The bytes are fetched in
guarded_http.py, which connects to the very address that was judged here: a name that is looked up twice may answer
differently.

The surprise: Python's `is_global` is not enough. It takes for global what carries a private IPv4 address inside an IPv6
one (NAT64, 6to4), multicast, and some reserved blocks; Azure's metadata server has a public address.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from diary_pipeline.core.errors import TransientError, UsageError

WEB_PORTS = (80, 443)
MAX_URL = 4_096
_SCHEMES = {"http": 80, "https": 443}
_HOST = re.compile(r"(?!.*\.\.)[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?", re.IGNORECASE)
# `0x7f.1`, `017700000001`, `2130706433`: the C library reads a host so whose last label is a number; no real name's is.
_ENDS_IN_NUMBER = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)$", re.IGNORECASE)
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_ENTRY = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?|[0-9A-Fa-f:]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata server
            "192.88.99.0/24",  # relays of 6to4
            "168.63.129.16/32",  # Azure's metadata server
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",  # documentation, reserved after Python 3.11
        ),
    )
)
_INSIDE = {"localhost": "127.0.0.1", "metadata.google.internal": "169.254.169.254"}
"""Names that lead to one address everywhere, so nobody has to be asked."""
Resolve = Callable[[str], Sequence[str]]
"""From a host name to its addresses as text; OSError when there is none."""


@dataclass(frozen=True)
class Target:
    """A URL that may be asked, in its parts; made by `Guard.target` only."""

    scheme: str
    host: str
    """ASCII, without a dot at its end: for the certificate and the Host header."""
    port: int
    path: str
    """With the query: what is asked for on the wire. Never shown."""

    @property
    def shown(self) -> str:
        """The address as it may be told: a query may hold a signature."""
        return f"{self.scheme}://{self.host}/"

    @property
    def with_port(self) -> str:
        """Host and port, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """The Host header."""
        return self.with_port.removesuffix(f":{_SCHEMES[self.scheme]}")

    @property
    def url(self) -> str:
        """The whole URL, which others must not see."""
        return f"{self.scheme}://{self.authority}{self.path}"


def system_addresses(host: str) -> list[str]:
    """Ask the system's resolver, once."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True)
class Guard:
    """Judges URLs for one deployment."""

    allowed: Collection[str] = ()
    """What may be reached although it is not public: `nas.lan`, `nas.lan:8080`, `10.1.0.0/16`."""
    ports: Collection[int] = WEB_PORTS
    resolve: Resolve = field(default=system_addresses, repr=False)

    def __post_init__(self) -> None:
        """Refuse an entry that would allow nothing: UsageError `allowed_host_invalid`."""
        for entry in self.allowed:
            if not _network(entry) and not _ENTRY.fullmatch(entry):
                raise UsageError(
                    "allowed_host_invalid", f"{entry!r} is no host, host:port or network such as 10.1.0.0/16."
                )

    def target(self, url: str) -> Target:
        """Take a URL apart without looking anything up.

        UsageError `url_invalid`, or `url_forbidden_address` for what must not be asked wherever it leads, as an address
        in figures that is not public.
        """
        import httpx  # here, because every command reads settings, and settings hold a guard's words

        try:
            said = httpx.URL(url) if len(url) <= MAX_URL else None
        except (httpx.InvalidURL, UnicodeError):
            said = None
        if said is None or said.scheme not in _SCHEMES or not said.raw_host:
            raise UsageError("url_invalid", "This is no http:// or https:// address; check it and send it again.")
        host = said.raw_host.decode("ascii").removesuffix(".")
        if not _is_address(host) and not _HOST.fullmatch(host):
            raise UsageError("url_invalid", "The address names no host; check it and send it again.")
        port = _SCHEMES[said.scheme] if said.port is None else said.port
        target = Target(said.scheme, host, port, said.raw_path.decode("ascii"))
        if said.userinfo:
            raise forbidden(target, "a user name or password in it")
        if _ENDS_IN_NUMBER.search(host) and not _is_address(host):
            raise forbidden(target, "a number for a host")
        if target.port not in self.ports and not self._named(target.with_port):
            raise forbidden(target, f"port {target.port}")
        if _is_address(host):
            self.addresses(target)
        known = _INSIDE.get("localhost" if host.endswith(".localhost") else host)
        if known and not self._named(host, target.with_port) and not self._may_reach(known):
            raise forbidden(target, "a host that is not public")
        return target

    def addresses(self, target: Target) -> list[str]:
        """Look the host up and return its addresses if every one may be reached.

        UsageError `url_forbidden_address`; TransientError `url_unreachable` when the name has no address now. One
        private address among public ones is refused too: which of them is dialled would be chance.
        """
        try:
            found = [target.host] if _is_address(target.host) else list(self.resolve(target.host))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise TransientError("url_unreachable", f"The host name in {target.shown} has no address now.")
        if not self._named(target.host, target.with_port) and not all(map(self._may_reach, found)):
            raise forbidden(target, "a host that is not public")
        return found

    def _named(self, *spellings: str) -> bool:
        return not {entry.lower() for entry in self.allowed}.isdisjoint(spellings)

    def _may_reach(self, address: str) -> bool:
        networks = [network for entry in self.allowed if (network := _network(entry))]
        return is_public(address) or any(ipaddress.ip_address(address) in network for network in networks)


def is_public(address: str) -> bool:
    """Say whether an IP address belongs to the public internet, also by the IPv4 address that it may carry inside."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:  # `fe80::1%eth0`: one of this link
            return False
        inside = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None)
        if inside is not None:
            return is_public(str(inside))
        if ip not in _PUBLIC_V6:
            return False
    kept = ip.is_multicast or ip.is_reserved or any(ip in network for network in _NOT_PUBLIC)
    return ip.is_global and not kept


def forbidden(target: Target, what: str) -> UsageError:
    """Say that a URL leads where none may."""
    return UsageError(
        "url_forbidden_address",
        f"{target.shown} is not asked: it names {what}; give a public one, or let the operator allow this host.",
    )


def shown_url(url: str) -> str:
    """Give a URL as it may be told: without a query, a fragment or a user, which may hold secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry) if "/" in entry else None
    except ValueError:
        return None
