"""`diary reprocess`: have chosen recordings done again with what is configured now."""

from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.home import begin, existing_home
from diary_pipeline.cli.output import Format, FormatOption, print_rows, say
from diary_pipeline.cli.versions import StageOption

if TYPE_CHECKING:
    from diary_pipeline.upkeep.reprocess import Selection
    from diary_pipeline.wiring.deployment import Wiring

COLUMNS = ("transcripts", "notes_alone", "audio_hours", "usd", "current", "busy", "without_audio", "unknown")


def reprocess(
    keys: Annotated[list[str] | None, typer.Argument(help="Recording keys.", show_default=False)] = None,
    where: Annotated[
        str, typer.Option("--where", help="Condition over the table recordings, instead of keys or beside them.")
    ] = "",
    stage: Annotated[
        list[StageOption] | None, typer.Option("--stage", help="How far; without it transcript and note.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="Whisper model from now on; without it each recording keeps its own.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    form: FormatOption = Format.table,
) -> None:
    """Have recordings transcribed and written again where what is there is not what would be made today.

    Tells first how many that are, the hours to transcribe and the US dollars for language models, then asks. What is
    there stays until its successor is committed, and `diary rollback` goes back to it. A running daemon
    (`diary dev`) carries it out.

    Examples: `diary reprocess --where "whisper_model = 'tiny.en'" --model base --dry-run`;
    `diary reprocess 2026-05-01-walk-0123456789ab --stage note --yes`.
    """
    settings = begin()
    existing_home(settings)
    from diary_pipeline.upkeep.reprocess import STAGES, checked_model
    from diary_pipeline.wiring.deployment import Wiring

    wiring = Wiring(settings)
    work = wiring.reprocess
    wanted = [s for s in STAGES if not stage or s in {chosen.value for chosen in stage}]
    selection = work.look(work.keys(keys or [], where), wanted, checked_model(model, settings.allowed_models))
    _print(wiring, selection, form)
    count = len(selection.transcripts) + len(selection.notes)
    if not count or dry_run:
        say("Nothing was planned." if count else "All of it is current, or waits anyway.")
    elif yes or typer.confirm(f"Do {count} recordings again?", err=True):
        say(f"{work.plan(selection)} recordings are planned; `diary dev` carries it out, `diary status` tells how far.")
    if selection.unknown:
        say(f"{len(selection.unknown)} keys are unknown: {', '.join(selection.unknown[:5])}.")
        raise typer.Exit(1)


def _print(wiring: "Wiring", selection: "Selection", form: Format) -> None:
    cost = wiring.reprocess.cost(selection)
    usd = "unpriced" if cost.usd is None else round(cost.usd, 6)
    counts = (selection.current, selection.busy, selection.without_audio, len(selection.unknown))
    row = (len(selection.transcripts), len(selection.notes), round(selection.audio_hours, 3), usd, *counts)
    print_rows(COLUMNS, [row], form)
    if not selection.judged:
        say("No model is at hand here, so every transcript is taken for an old one; those that are not cost nothing.")
