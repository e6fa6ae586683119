"""What a draft claims, apart from what it amounts to: of a long recording the claims come from several answers."""

from dataclasses import dataclass

from diary_pipeline.notes.drafts.schema import Claim, HeadDraft, NoteDraft


@dataclass(frozen=True)
class Claims:
    """The claims of one draft, or of all the pieces of a long recording, in order of time."""

    events: tuple[Claim, ...] = ()
    reflections: tuple[Claim, ...] = ()
    actions: tuple[Claim, ...] = ()
    people: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    """Of the pieces; what the whole is about says its head."""


def claims_of(draft: NoteDraft) -> Claims:
    """Give what a draft claims."""
    return Claims(
        draft.events, draft.reflections, draft.actions, draft.people, draft.places, draft.quotes, draft.topics
    )


def head_of(draft: NoteDraft) -> HeadDraft:
    """Give what a draft of a whole recording says that it amounts to."""
    return HeadDraft(mood=draft.mood, topics=draft.topics, summary=draft.summary, title=draft.title)
