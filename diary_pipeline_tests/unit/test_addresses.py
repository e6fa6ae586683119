"""Where a URL that a stranger sent may lead; nothing is looked up but in the test's own table."""

import pytest

from diary_pipeline.core.errors import PermanentError, TransientError, UsageError
from diary_pipeline.intake.addresses import Guard, is_public, shown_url

NAMES = {
    "public.example": ["93.184.216.34", "2606:2800:220:1::1"],
    "xn--bcher-kva.example": ["93.184.216.34"],
    "inside.example": ["10.0.0.7"],
    "mixed.example": ["93.184.216.34", "127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "nas.lan": ["192.168.1.5"],
}


def resolve(host: str) -> list[str]:
    """Look a name up."""
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


GUARD = Guard(resolve=resolve)
FORBIDDEN = [
    "http://127.0.0.1/a.mp3",
    "http://127.0.0.1:80/a.mp3",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://127。0。0。1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://inside.example/",
    "http://mixed.example/",
    "http://nat64.example/",
    "http://me@public.example/",
    "http://me:secret@public.example/",
    "http://public.example\\@127.0.0.1/",
    "http://public.example:22/",
    "http://public.example:99999/",
    "http://[::1%25eth0]/",
    "http://[2606:4700::1%25eth0]/",
    "http://public.example:6379/",
    "https://public.example:0/",
]
INVALID = [
    "http://0177.0.0.01/",
    "",
    "memo.mp3",
    "//public.example/a",
    "ftp://public.example/a",
    "file:///etc/passwd",
    "gopher://public.example/",
    "javascript:alert(1)",
    " http://public.example/",
    "http:///a",
    "http://",
    "http://public..example/",
    "http://-x-/",
    "http://exa mple/",
    "http://x\r\nHost: y/",
    "http://[::1",
    "http://ⓛocalhost/",
    "http://①②⑦.0.0.1/",
    f"http://public.example/{'a' * 5_000}",
]


def code_of(url: str, guard: Guard = GUARD) -> str:
    """Say with which code an address is refused; empty when it is not."""
    try:
        guard.addresses(guard.target(url))
    except (PermanentError, TransientError) as error:
        assert "secret" not in error.message
        return error.code
    return ""


@pytest.mark.parametrize("url", FORBIDDEN)
def test_an_address_that_leads_inside_is_forbidden(url: str) -> None:
    assert code_of(url) == "url_forbidden_address"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "app.localhost", "metadata.google.internal"])
def test_names_that_lead_inside_everywhere_are_forbidden_before_they_are_looked_up(host: str) -> None:
    with pytest.raises(UsageError, match="not public"):
        GUARD.target(f"http://{host}/a.mp3")
    assert Guard(allowed=[host.lower().removesuffix("."), "169.254.0.0/16"]).target(f"http://{host}/a.mp3")


@pytest.mark.parametrize("url", INVALID)
def test_what_is_no_web_address_is_invalid(url: str) -> None:
    assert code_of(url) == "url_invalid"


@pytest.mark.parametrize(
    "url",
    [
        "https://public.example/a.mp3?sig=x#t",
        "http://public.example:443/a",
        "HTTPS://PUBLIC.EXAMPLE./a",
        "https://bücher.example/ä ö.mp3",
        "http://93.184.216.34/",
        "http://[2606:4700::1111]/",
        "http://[64:ff9b::5db8:d822]/",
        "http://[::ffff:93.184.216.34]/",
    ],
)
def test_a_public_address_may_be_asked(url: str) -> None:
    assert code_of(url) == ""


def test_a_name_without_an_address_may_have_one_later() -> None:
    assert code_of("https://nobody.example/") == "url_unreachable"


@pytest.mark.parametrize(
    ("allowed", "url", "code"),
    [
        (("nas.lan",), "http://nas.lan/", ""),
        (("NAS.lan",), "http://nas.lan/", ""),
        (("nas.lan",), "http://nas.lan:8080/", "url_forbidden_address"),
        (("nas.lan:8080",), "http://nas.lan:8080/", ""),
        (("nas.lan:8080",), "http://nas.lan:22/", "url_forbidden_address"),
        (("192.168.0.0/16",), "http://nas.lan/", ""),
        (("192.168.0.0/16",), "http://192.168.1.5/", ""),
        (("192.168.0.0/16",), "http://inside.example/", "url_forbidden_address"),
        (("192.168.0.0/16",), "http://192.168.1.5:22/", "url_forbidden_address"),
        (("127.0.0.1:9000",), "http://127.0.0.1:9000/", ""),
        (("[::1]:9000",), "http://[::1]:9000/", ""),
        (("other.lan",), "http://nas.lan/", "url_forbidden_address"),
    ],
)
def test_the_operator_names_what_may_be_reached_besides(allowed: tuple[str, ...], url: str, code: str) -> None:
    assert code_of(url, Guard(allowed, resolve=resolve)) == code


@pytest.mark.parametrize("entry", ["", "http://nas.lan", "nas.lan/", "10.0.0.1/8", "a b", "nas.lan:port"])
def test_an_entry_that_would_allow_nothing_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="no host"):
        Guard((entry,))


def test_only_text_that_is_an_address_is_public() -> None:
    assert not is_public("public.example")
    assert not is_public("fe80::1%eth0")


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown_url("https://me:pw@h.example:444/a/b.mp3?X-Sig=1#f") == "https://h.example:444/a/b.mp3"
    assert GUARD.target("https://public.example/a?sig=1").shown == "https://public.example/"
