"""Settings of the job API: where it listens, whom it trusts, whom it calls back; part of settings.py's one class."""

from pydantic import BaseModel, ConfigDict

from diary_pipeline.settings_kinds import setting


class ApiSettings(BaseModel):
    """How applications reach the product, and how it reaches them."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    api_host: str = setting("API", "127.0.0.1", "Address that `diary api` listens on; beyond loopback it wants keys.")
    ingestion_port: int = setting("API", 8000, "Port of the ingestion API.", ge=1, le=65_535)
    status_port: int = setting("API", 8001, "Port of the status API.", ge=1, le=65_535)
    api_json_kb: int = setting(
        "API", 2000, "Largest JSON body, in thousands of bytes; a batch of 1,000 long URLs fits.", ge=1
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
