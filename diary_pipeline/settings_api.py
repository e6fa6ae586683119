"""Settings of the job API: where it listens, whom it trusts, whom it calls back; part of settings.py's one class."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict

from diary_pipeline.settings_kinds import Words, setting

_RATES = re.compile(
    r"[1-9]\d*/([1-9]\d* )?(second|minute|hour|day)s?(;[1-9]\d*/([1-9]\d* )?(second|minute|hour|day)s?)*"
)
UNLIMITED = "none"
_TIER = re.compile(r"[a-z][a-z0-9-]{0,31}")


def _rates(said: str) -> str:
    """Read how often something may be done, such as `60/minute;1000/hour`; `none`: as often as one likes."""
    plain = re.sub(r"\s*([;/])\s*", r"\1", said.strip())
    if plain != UNLIMITED and not _RATES.fullmatch(plain):
        raise ValueError(
            "it must be none, or read like 60/minute;1000/hour: a number, a slash and second, minute, hour or day"
        )
    return plain


def _tiers(said: tuple[str, ...]) -> tuple[str, ...]:
    read = [(name.strip(), _rates(rates)) for name, _, rates in (tier.partition("=") for tier in said)]
    for name, _ in read:
        if not _TIER.fullmatch(name):
            raise ValueError("each tier must read like gold=600/minute;20000/hour, its name in small letters")
    if len({name for name, _ in read}) != len(read):
        raise ValueError("a tier is named twice")
    return tuple(f"{name}={rates}" for name, rates in read)


def _networks(said: tuple[str, ...]) -> tuple[str, ...]:
    for network in said:
        ipaddress.ip_network(network)
    return said


def _origins(said: tuple[str, ...]) -> tuple[str, ...]:
    for origin in said:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https") or "*" in origin:
            raise ValueError("each origin must be named whole, such as https://app.example: no path and no *")
    return said


Rates = Annotated[str, AfterValidator(_rates)]
Tiers = Annotated[Words, AfterValidator(_tiers)]
Networks = Annotated[Words, AfterValidator(_networks)]
Origins = Annotated[Words, AfterValidator(_origins)]


class ApiSettings(BaseModel):
    """How applications reach the product, and how it reaches them."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    api_host: str = setting("API", "127.0.0.1", "Address that `diary api` listens on; beyond loopback it wants keys.")
    ingestion_port: int = setting("API", 8000, "Port of the ingestion API.", ge=1, le=65_535)
    status_port: int = setting("API", 8001, "Port of the status API.", ge=1, le=65_535)
    api_auth: Literal["auto", "keys", "off"] = setting(
        "API",
        "auto",
        "Whether requests need a key (`diary keys create`); auto wants none on loopback, where curl works at once, and "
        "one everywhere else; off is refused beyond loopback.",
    )
    api_hosts: Words = setting(
        "API",
        (),
        "Host names under which the API may be asked; empty: any that a key holder uses, loopback's own names without "
        "keys, so that no web page reaches it under a name of its own (DNS rebinding).",
    )
    api_origins: Origins = setting(
        "API", (), "Web pages whose scripts may ask (CORS), such as https://app.example; empty: none."
    )
    api_json_kb: int = setting(
        "API", 2000, "Largest JSON body, in thousands of bytes; a batch of 1,000 long URLs fits.", ge=1
    )
    api_connections: int = setting(
        "API",
        1000,
        "Most connections to one app; each costs a file descriptor and some 100 kB, and one too many is told 503.",
        ge=1,
    )
    api_stop_s: int = setting(
        "API", 20, "Seconds for which requests may go on after SIGTERM; service managers kill after 30.", ge=1
    )
    openai_wait_s: float = setting(
        "API",
        580.0,
        "Seconds for which `/v1/audio/transcriptions` waits for its transcript; OpenAI's client gives up after 600.",
        gt=0,
    )
    production: bool = setting(
        "API", False, "Whether /docs and /openapi.json are hidden: they name every address there is."
    )
    api_body_idle_s: float = setting(
        "API", 15.0, "Seconds without a byte of a body before its sender is let go with 408.", gt=0
    )
    api_body_min_bytes_s: int = setting(
        "API",
        1000,
        "Bytes a second that a body must come in with on average, after its first 20 s; slower ones hold connections.",
        ge=0,
    )

    rate_limits: Rates = setting(
        "Rate limits",
        "60/minute;1000/hour",
        "Requests of one user, and of one address, that are taken; none: as many as come.",
    )
    rate_tiers: Tiers = setting(
        "Rate limits",
        (),
        "Other limits for keys made with --tier, such as gold=600/minute;20000/hour, separated by commas.",
    )
    trusted_proxies: Networks = setting(
        "Rate limits",
        (),
        "Networks (CIDR) of proxies whose word on the client's address is taken; from anybody else it is ignored.",
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = setting(
        "Rate limits",
        "x-forwarded-for",
        "The one header in which those proxies say it: the other one may be the client's own invention.",
    )

    @property
    def tiers(self) -> Mapping[str, str]:
        """Give the limits of each tier by its name."""
        return {name: rates for name, _, rates in (tier.partition("=") for tier in self.rate_tiers)}

    webhook_secret: Words = setting(
        "Webhooks",
        (),
        "Secrets that sign what receivers are sent, separated by commas: two while they change from one to the other. "
        "Empty: the file webhook.key below the home, which one machine has.",
        secret=True,
    )
    webhook_allowed_hosts: Words = setting(
        "Webhooks",
        (),
        "Receivers that may be called although they are not public, separated by commas: app.lan:8080, 10.1.0.0/16.",
    )
    webhook_timeout_s: float = setting(
        "Webhooks", 15.0, "Seconds for one call; a receiver should note what came and work on it later.", gt=0, le=120
    )
    webhook_attempts: int = setting(
        "Webhooks",
        30,
        "Calls after which a delivery is given up: about a day, an hour apart in the end.",
        ge=1,
        le=1000,
    )
    run_failure_webhook: str | None = setting(
        "Webhooks", None, "Address that is told of each run that failed; empty: nobody is.", secret=True
    )
