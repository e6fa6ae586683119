"""Whisper weights on the Hugging Face hub: the normal way to a model.

Pins and the talk with the hub. Where models lie on this machine, and what to do when the hub does not answer, is
models.py's business.

What surprises: one request with a short limit decides whether the hub answers at all. Left alone, its client retries
for a minute on a machine without a network. The request runs in a thread because a name lookup knows no time limit.
"""

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diary_pipeline.storage.packaged_files import Progress

WANTED = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*", "LICENSE*")
NEEDED = ("model.bin", "config.json", "tokenizer.json")
PROBE_S = 3.0
READ_S = 10.0


@dataclass(frozen=True)
class HubModel:
    """A repository at one commit. `sha256` of model.bin; None: whatever the hub gives is recorded, not compared."""

    repo: str
    revision: str | None = None
    sha256: str | None = None


HUB_MODELS: dict[str, HubModel] = {
    "tiny": HubModel(
        "Systran/faster-whisper-tiny",
        "d90ca5fe260221311c53c58e660288d3deb8d356",
        "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1",
    ),
    "tiny.en": HubModel(
        "Systran/faster-whisper-tiny.en",
        "0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    "base": HubModel(
        "Systran/faster-whisper-base",
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    "base.en": HubModel(
        "Systran/faster-whisper-base.en",
        "3d3d5dee26484f91867d81cb899cfcf72b96be6c",
        "2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef",
    ),
    "small": HubModel(
        "Systran/faster-whisper-small",
        "536b0662742c02347bc0e980a01041f333bce120",
        "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
    ),
    "small.en": HubModel(
        "Systran/faster-whisper-small.en",
        "d1d751a5f8271d482d14ca55d9e2deeebbae577f",
        "62b2a45b05ee59acb4a5341b33ee35e041395d378d418a18acfe4c9e768ee37a",
    ),
    "medium": HubModel(
        "Systran/faster-whisper-medium",
        "08e178d48790749d25932bbc082711ddcfdfbc4f",
        "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae",
    ),
    "medium.en": HubModel(
        "Systran/faster-whisper-medium.en",
        "a29b04bd15381511a9af671baec01072039215e3",
        "11b220779aea4c6f3ce9d2549c8a95ea869ed84066864b999531ef53e594fe5b",
    ),
    "large-v3": HubModel(
        "Systran/faster-whisper-large-v3",
        "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
    ),
    "large-v3-turbo": HubModel(
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
        "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da",
    ),
    "distil-large-v3": HubModel(
        "Systran/faster-distil-whisper-large-v3",
        "c3058b475261292e64a0412df1d2681c06260fab",
        "b79368e19b6623813609431a6e5ee309a71506701ebc49fd7820e692dec7c5f5",
    ),
}


class Hub(Protocol):
    """What fetching asks of a hub."""

    def answers(self, model: HubModel) -> bool:
        """Say within a few seconds whether the hub can be reached."""

    def download(self, model: HubModel, into: Path, progress: Progress) -> None:
        """Put the model's files into a folder; OSError or ValueError when that fails."""

    def cached(self, model: HubModel) -> Path | None:
        """Return the folder of a model that the hub's own client has downloaded before."""


class HuggingFace:
    """The hub through its own client, so that `HF_ENDPOINT`, tokens and `HF_HUB_OFFLINE` mean what they always do."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint

    def answers(self, model: HubModel) -> bool:
        """Ask once for the model's configuration; any answer but a server's failure counts."""
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            return False
        url = f"{self.endpoint or constants.ENDPOINT}/{model.repo}/resolve/{model.revision or 'main'}/config.json"
        pool = ThreadPoolExecutor(1, thread_name_prefix="hub-probe")
        try:
            return pool.submit(_answers, url).result(timeout=PROBE_S + 1)
        except TookTooLong:
            return False
        finally:
            pool.shutdown(wait=False)

    def download(self, model: HubModel, into: Path, progress: Progress) -> None:
        """Download one snapshot; interrupted downloads are not resumed, because the folder is temporary."""
        from huggingface_hub import snapshot_download

        snapshot_download(
            model.repo,
            revision=model.revision,
            local_dir=into,
            allow_patterns=list(WANTED),
            etag_timeout=READ_S,
            endpoint=self.endpoint,
            tqdm_class=_reporting_to(progress, f"downloading {model.repo}"),
        )

    def cached(self, model: HubModel) -> Path | None:
        """Look for the pinned commit first, then for whatever the client calls `main`."""
        from huggingface_hub import try_to_load_from_cache

        for revision in dict.fromkeys((model.revision, None)):
            found = [try_to_load_from_cache(model.repo, file, revision=revision) for file in NEEDED]
            paths = [Path(path) for path in found if isinstance(path, str)]
            if len(paths) == len(NEEDED):
                return paths[0].parent
        return None


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the endpoint is the hub's, https unless configured
    try:
        with urllib.request.urlopen(request, timeout=PROBE_S):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


def _reporting_to(progress: Progress, stage: str) -> type:
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Reported(tqdm):  # type: ignore[misc]
        # The hub draws one bar for files and one for bytes; only bytes mean anything to a person who waits.
        def __init__(self, *args: object, **kwargs: object) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = False
            kwargs["file"] = _Nowhere()
            super().__init__(*args, **kwargs)

        def display(self, *_: object, **__: object) -> None:
            if self.unit == "B":
                progress(stage, int(self.n), int(self.total or 0))

    return Reported


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return
