"""From which address a request came."""

import pytest
from starlette.datastructures import Headers

from diary_pipeline.api.addresses import ForwardedHeader, client_address, counted_as, networks

TRUSTED = networks(["10.0.0.0/8", "2001:db8:1::/48"])
XFF: ForwardedHeader = "x-forwarded-for"


@pytest.mark.parametrize(
    ("peer", "said", "address", "why"),
    [
        ("203.0.113.9", None, "203.0.113.9", "nobody passed it on"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9", "a stranger's word is not taken"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1", "our proxy's is"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1", "what the client wrote itself stands before"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1", "through two of ours"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", "from inside"),
        ("10.0.0.1", None, "10.0.0.1", "the proxy itself asks"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1", "an entry that is none ends what is known"),
        ("10.0.0.1", "unknown", "10.0.0.1", "so does a proxy that does not know"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1", "with a port"),
        ("10.0.0.1", "[2001:db8:7::5]:4711", "2001:db8:7::5", "version 6 with a port"),
        ("10.0.0.1", "2001:db8:7::5", "2001:db8:7::5", "version 6"),
        ("2001:db8:1::9", "198.51.100.1", "198.51.100.1", "a proxy on version 6"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1", "a proxy on version 4 that a socket of both shows so"),
        ("::ffff:203.0.113.9", None, "203.0.113.9", "a client likewise"),
        ("fe80::1%eth0", None, "fe80::1", "an address of one link"),
        (None, "198.51.100.1", None, "a Unix socket has no peer"),
        ("testclient", None, None, "nor has a test"),
    ],
)
def test_the_address_is_read_from_the_right(peer: str | None, said: str | None, address: str | None, why: str) -> None:
    found = client_address(peer, Headers({"x-forwarded-for": said} if said else {}), TRUSTED, XFF)
    assert (None if found is None else str(found)) == address, why


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ('For="[2001:db8:7::5]:4711";proto=https', "2001:db8:7::5"),
        ("for=1.1.1.1, proto=http;for=198.51.100.1;by=10.0.0.1", "198.51.100.1"),
        ("for=1.1.1.1, for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
    ],
)
def test_the_standard_header_is_read_where_it_is_chosen(said: str, address: str) -> None:
    headers = Headers({"forwarded": said, "x-forwarded-for": "6.6.6.6"})
    assert str(client_address("10.0.0.1", headers, TRUSTED, "forwarded")) == address


def test_the_header_that_was_not_chosen_is_not_believed() -> None:
    headers = Headers({"forwarded": "for=6.6.6.6", "x-forwarded-for": "198.51.100.1"})
    assert str(client_address("10.0.0.1", headers, TRUSTED, XFF)) == "198.51.100.1"


def test_a_header_that_comes_twice_is_one_list() -> None:
    headers = Headers(raw=[(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"198.51.100.1")])
    assert str(client_address("10.0.0.1", headers, TRUSTED, XFF)) == "198.51.100.1"


def test_addresses_of_version_6_count_together_by_household() -> None:
    one, other, neighbour = (
        client_address(peer, Headers({}), (), XFF)
        for peer in ("2001:db8:7:1::5", "2001:db8:7:1:ffff::9", "2001:db8:7:2::5")
    )
    assert counted_as(one) == counted_as(other) == "2001:db8:7:1::/64"
    assert counted_as(neighbour) != counted_as(one)
    assert counted_as(None) == "unknown"
