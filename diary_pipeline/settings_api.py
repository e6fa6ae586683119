"""Settings of the job API: where it listens, whom it trusts, whom it calls back; part of settings.py's one class."""

from pydantic import BaseModel, ConfigDict

from diary_pipeline.settings_kinds import Words, setting


class ApiSettings(BaseModel):
    """How applications reach the product, and how it reaches them."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    api_host: str = setting("API", "127.0.0.1", "Address that `diary api` listens on; beyond loopback it wants keys.")
    ingestion_port: int = setting("API", 8000, "Port of the ingestion API.", ge=1, le=65_535)
    status_port: int = setting("API", 8001, "Port of the status API.", ge=1, le=65_535)
    api_json_kb: int = setting(
        "API", 2000, "Largest JSON body, in thousands of bytes; a batch of 1,000 long URLs fits.", ge=1
    )

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
