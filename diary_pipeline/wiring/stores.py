"""What a deployment keeps things in: ledger, objects, and what is published from them.

Everything is built on first use and once per process: one connection pool. No rule lives here.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.catalogue.publication import Publication
from diary_pipeline.core.seal import Seal
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.settings import Settings
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline.storage.gcs import GcsStore
from diary_pipeline.storage.private import secret_in
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.wiring.publish_process import PublishProcess

if TYPE_CHECKING:
    from diary_pipeline.catalogue.dbt_notes.build import Marts
    from diary_pipeline.catalogue.publisher import Publisher
    from diary_pipeline.catalogue.search_index import SearchIndex
    from diary_pipeline.catalogue.search_meaning import Embedder

SEAL_FILE = "erasure.key"


class Stores:
    """Where one deployment keeps things."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger at `DIARY_LEDGER_URL`, its schema brought up to date."""
        return open_ledger(self.settings.ledger_url)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store: the bucket where one is named, else the folder."""
        return self.bucket_store or FolderStore(self.settings.object_dir)

    @cached_property
    def bucket_store(self) -> GcsStore | None:
        """The bucket, for what only a store that machines share can do: publishing the catalogue file there."""
        s = self.settings
        return GcsStore(s.bucket, s.home / "copies", s.bucket_copies_mb) if s.bucket else None

    @cached_property
    def publication(self) -> Publication | None:
        """Where the published file is uploaded to after each swap; None: there is no bucket."""
        return Publication(self.bucket_store) if self.bucket_store else None

    @cached_property
    def seal(self) -> Seal:
        """The secret of tombstones and receipts: its setting's, or that of a file which the first use makes."""
        return Seal(self.settings.erasure_key or secret_in(self.settings.home / SEAL_FILE))

    @cached_property
    def search_index(self) -> "SearchIndex":
        """The file that follows the catalogue and is searched."""
        from diary_pipeline.catalogue.search_index import SearchIndex

        return SearchIndex(self.settings.search_file)

    @cached_property
    def embedder(self) -> "Embedder | None":
        """What finds by meaning; None: nothing is configured. ServiceMissing when its weights are not here."""
        s = self.settings
        if s.embedder == "minilm":
            from diary_pipeline.notes.embedding.minilm import MiniLM
            from diary_pipeline.notes.embedding.weights import find

            return MiniLM(find(s.model_dir))
        if s.embedder == "openai-compatible":
            from diary_pipeline.notes.embedding.openai_compatible import OpenAICompatibleEmbedder

            url = s.embedding_url or ""
            return OpenAICompatibleEmbedder(
                url, s.embedding_model, s.embedding_api_key, is_remote=not s.embedding_local
            )
        return None

    def is_private(self, user_id: str) -> bool:
        """Say whether a diary may not leave the machines of the deployment."""
        return self.settings.llm.policy.local_only or self.settings.owner(user_id).local_only

    @property
    def audio_limits(self) -> AudioLimits:
        """What audio is taken at all."""
        s = self.settings
        return AudioLimits(s.max_file_size_mb * 1_000_000, s.min_audio_s, s.max_audio_s)

    @cached_property
    def publisher(self) -> "Publisher":
        """The publisher; use it in a process that does not read the catalogue."""
        from diary_pipeline.catalogue.publisher import Publisher

        return Publisher(
            self.ledger,
            self.store,
            self.settings.catalogue_file,
            marts_file=self.settings.marts_file,
            followers=(self.search_index,),
            publication=self.publication,
            search_file=self.settings.search_file,
        )

    @property
    def marts(self) -> "Marts":
        """The tables that dbt builds out of the published file."""
        from diary_pipeline.catalogue.dbt_notes.build import Marts

        return Marts(self.settings.catalogue_file, self.settings.marts_file)

    @property
    def publish(self) -> PublishProcess:
        """Publishes in a process of its own, because one that reads the catalogue must not write it."""
        return PublishProcess(self.settings.environment())

    @property
    def compact(self) -> PublishProcess:
        """Publishes likewise, and leaves no byte of deleted rows."""
        return PublishProcess(self.settings.environment(), ["--compact"])
