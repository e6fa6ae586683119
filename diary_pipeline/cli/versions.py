"""`diary promote` and `diary rollback`: which kept version of a recording users see."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.lookup import find
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from diary_pipeline.ledger.versions import Shown
    from diary_pipeline.wiring.deployment import Wiring

KeyArgument = Annotated[str, typer.Argument(help="A recording key; its beginning or end will do.")]
COLUMNS = ("stage", "version", "shown", "made_at", "made_with", "transcript")


class StageOption(StrEnum):
    """What there are versions of."""

    transcript = "transcript"
    note = "note"


def promote(
    key: KeyArgument,
    version: Annotated[
        str, typer.Argument(help="The version to show; its beginning will do. Without it, they are listed.")
    ] = "",
    form: FormatOption = Format.table,
) -> None:
    """Show a kept version of a recording's transcript or note; without a version, list those that are kept.

    A transcript takes its note along, and a note its transcript. Users see it with the next publish. A note that is not
    the newest stays until you ask for another one: neither sensors nor `reprocess` write it anew.

    Examples: `diary promote 2026-05-01-walk`; `diary promote 2026-05-01-walk 3f2a`.
    """
    wiring, whole = _recording(key)
    from diary_pipeline.ledger.versions import kept, show_version

    if version:
        _tell(wiring, whole, show_version(wiring.ledger, whole, version))
        return
    import datetime as dt

    with wiring.ledger.reading() as conn:
        some = kept(conn, whole)
    print_rows(
        COLUMNS,
        [
            (v.stage, v.version, v.current, dt.datetime.fromtimestamp(v.made_at, dt.UTC), v.made_with, v.transcript)
            for v in some
        ],
        form,
    )


def rollback(
    key: KeyArgument,
    stage: Annotated[
        StageOption | None,
        typer.Option("--stage", help="Of what; without it the note, or the transcript where that has one note only."),
    ] = None,
) -> None:
    """Go back to what was shown before: the previous note of the transcript, or the previous transcript and its note.

    `diary promote KEY VERSION` goes forward again. Users see it with the next publish.

    Examples: `diary rollback 2026-05-01-walk`; `diary rollback 2026-05-01-walk --stage transcript`.
    """
    wiring, whole = _recording(key)
    from diary_pipeline.ledger.versions import show_previous

    _tell(wiring, whole, show_previous(wiring.ledger, whole, stage.value if stage else None))


def _recording(key: str) -> "tuple[Wiring, str]":
    settings = begin()
    existing_home(settings)
    from diary_pipeline.ledger.submissions import Submission
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    found = find(wiring.ledger, settings.catalogue_file, key)
    if isinstance(found, Submission):
        raise UsageError("recording_refused", f"{found.file_name} is {found.status}: there are no versions of it.")
    return wiring, found.recording.key


def _tell(wiring: "Wiring", key: str, shown: "Shown") -> None:
    from diary_pipeline.ledger import recordings

    with wiring.ledger.reading() as conn:
        recording = recordings.get(conn, key)
    wiring.edit.show_again(recording)  # what was corrected since holds for an older note too
    try:
        wiring.files.follow(key)
    except OSError as error:
        say(f"Its files could not be written ({error.strerror}); make room and run the same command again.")
    note = f"note {shown.note}" if shown.note else "its note is written now"
    say(f"{key}: transcript {shown.transcript}, {note}; users see it after the next publish (`diary publish`).")
