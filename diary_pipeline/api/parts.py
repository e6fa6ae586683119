"""What the routes are handed: the stores of one deployment, its settings, and the verbs that they call.

Composed here and not in wiring/, which lies below this room and knows nothing of it. No rule lives here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from diary_pipeline.api.estimates import Estimates
from diary_pipeline.audio.limits import AudioLimits
from diary_pipeline.catalogue.search import Found, search
from diary_pipeline.catalogue.search_ranking import Filters
from diary_pipeline.core.seal import Seal
from diary_pipeline.intake.addresses import Guard
from diary_pipeline.intake.queues.messages import Admission
from diary_pipeline.intake.resumable import Resumable
from diary_pipeline.ledger.connect import Ledger
from diary_pipeline.ledger.jobs_together import JobsTogether
from diary_pipeline.notes.editing import EditDiary
from diary_pipeline.settings import Settings
from diary_pipeline.storage.store import ObjectStore
from diary_pipeline.wiring.deployment import Wiring


@dataclass(frozen=True)
class Parts:
    """One deployment as the API sees it."""

    settings: Settings
    ledger: Ledger
    store: ObjectStore
    limits: AudioLimits
    seal: Seal
    jobs: JobsTogether
    """Opens jobs."""
    estimates: Estimates
    admission: Admission
    """What addresses of audio are judged by."""
    callbacks: Guard
    """What the addresses of receivers of webhooks are judged by, when they are given and when they are called."""
    resumable: Resumable
    """Uploads that come in parts."""
    edit: EditDiary
    """Corrects what was heard or written."""
    search: Callable[[str, Filters, int], Found]
    """Words, filters and how many at most -> what is published; NotFound while nothing is."""


GIVE_UP_S = 5.0
"""For how long a request waits for others who write to the ledger: a client should hear soon that it must come back."""


def parts_of(wiring: Wiring) -> Parts:
    """Open what the routes need; the ledger's schema is brought up to date by that."""
    s = wiring.settings
    wiring.ledger = wiring.ledger.hurried(GIVE_UP_S)
    return Parts(
        settings=s,
        ledger=wiring.ledger,
        store=wiring.store,
        limits=wiring.audio_limits,
        seal=wiring.seal,
        jobs=JobsTogether(wiring.ledger),
        estimates=Estimates(wiring.ledger),
        admission=wiring.admission,
        callbacks=wiring.callbacks,
        resumable=wiring.resumable,
        edit=wiring.edit,
        search=lambda typed, filters, limit: search(s.search_file, s.catalogue_file, typed, filters, limit=limit),
    )


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Given = Annotated[Parts, Depends(_parts)]
"""How a route asks for the parts."""
