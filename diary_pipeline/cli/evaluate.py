"""`diary eval`: how well this machine's models hear recordings whose words are known; of notes in evaluate_notes.py.

What surprises: nothing of the diary is read or written. The recordings go through the engine that the pipeline uses,
with the settings that the pipeline uses, and nowhere else.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diary_pipeline.cli.evaluate_notes import notes
from diary_pipeline.cli.home import begin
from diary_pipeline.cli.output import EvalFormat, Format, console, print_json, print_markdown_rows, print_rows, say

if TYPE_CHECKING:
    from diary_pipeline.transcription.evaluation.evaluation import Evaluation, Scored
    from diary_pipeline.transcription.evaluation.reference_set import Failed, Reference
    from diary_pipeline.transcription.transcriber import Transcriber

app = typer.Typer(
    no_args_is_help=True, help="Measure how well recordings are heard, and what the checks of notes catch."
)
app.command()(notes)
SHORT = ("row", "audio", "language", "seconds", "words", "wer", "cer", "inaudible", "flags")


@app.callback()
def _group() -> None:
    return


@app.command()
def transcripts(
    manifest: Annotated[Path, typer.Argument(help="CSV file with the columns audio and reference.")],
    model: Annotated[str, typer.Option("--model", help="Whisper model; default DIARY_WHISPER_MODEL.")] = "",
    language: Annotated[str, typer.Option("--language", help="ISO 639-1 code to force; default: detect.")] = "",
    form: Annotated[
        EvalFormat, typer.Option("--format", "-f", help="json, csv: all counts; csv: without the total.")
    ] = EvalFormat.table,
) -> None:
    """Count word errors against a reference set: word and character error rate, speed, what was inaudible or flagged.

    A reference is the text itself or the name of a .txt file; names are relative to the CSV file. Both texts pass
    Whisper's own normaliser first, so that rates compare with published ones. Totals count words, not files.

      diary eval transcripts mine.csv --model small --format json > small.json

    Exit code 1: some rows could not be evaluated, and are named.
    """
    settings = begin()
    from diary_pipeline.transcription.evaluation.reference_set import read_reference_set
    from diary_pipeline.wiring.deployment import Wiring

    references, failed = read_reference_set(manifest)
    transcriber = Wiring(settings).transcriber(model or settings.whisper_model)
    evaluation = _heard(transcriber, references, failed, language)
    _print(evaluation, form)
    for row in evaluation.failed:
        say(f"{row.message} [{row.code}]")
    if evaluation.failed:
        raise typer.Exit(1)


def _heard(
    transcriber: "Transcriber", references: "Sequence[Reference]", failed: "Sequence[Failed]", language: str
) -> "Evaluation":
    from rich.progress import Progress

    from diary_pipeline.transcription.evaluation.evaluation import evaluate

    shown = console()
    with Progress(console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(f"hearing with {transcriber.engine.model}", total=len(references))
        return evaluate(
            transcriber, references, language=language or None, failed=failed, on_done=lambda _: bar.advance(task)
        )


def _print(evaluation: "Evaluation", form: EvalFormat) -> None:
    rows = [*map(_cells, evaluation.scored), ("", *_cells(evaluation.total)[1:])]
    match form:
        case EvalFormat.json:
            print_json(_document(evaluation))
        case EvalFormat.csv:
            dicts = [_flat(scored) for scored in evaluation.scored]
            print_rows(tuple(_flat(evaluation.total)), [tuple(row.values()) for row in dicts], Format.csv)
        case EvalFormat.markdown:
            print_markdown_rows(SHORT, rows)
            print(f"\n{_speed(evaluation)}")
        case EvalFormat.table:
            print_rows(SHORT, rows, Format.table)
            print(_speed(evaluation))


def _cells(scored: "Scored") -> tuple[str, ...]:
    flags = {**{f"inaudible: {code}": n for code, n in scored.refused.items()}, **scored.risks}
    return (
        str(scored.row),
        scored.name,
        scored.language or "",
        f"{scored.duration_s:.1f}",
        str(scored.errors.words),
        _percent(scored.errors.wer),
        _percent(scored.errors.cer),
        _percent(scored.inaudible_share),
        ", ".join(f"{code} {n}" if n > 1 else code for code, n in sorted(flags.items())),
    )


def _flat(scored: "Scored") -> dict[str, object]:
    values = {field.name: getattr(scored, field.name) for field in dataclasses.fields(scored)}
    counts = dataclasses.asdict(values.pop("errors"))
    risks, refused = dict(values.pop("risks")), dict(values.pop("refused"))
    rates = {"wer": scored.errors.wer, "cer": scored.errors.cer, "inaudible_share": scored.inaudible_share}
    return {**values, **counts, **rates, "risks": risks, "refused": refused}


def _document(evaluation: "Evaluation") -> dict[str, object]:
    from importlib.metadata import version

    return {
        "engine": dataclasses.asdict(evaluation.engine),
        "engine_key": evaluation.engine.key,
        "normaliser": f"whisper-normalizer {version('whisper-normalizer')}",
        "wall_s": evaluation.wall_s,
        "cpu_s": evaluation.cpu_s,
        "real_time_factor": evaluation.real_time_factor,
        "audio_s_per_cpu_s": evaluation.audio_s_per_cpu_s,
        "total": _flat(evaluation.total),
        "recordings": [_flat(scored) for scored in evaluation.scored],
        "failed": [dataclasses.asdict(failed) for failed in evaluation.failed],
    }


def _speed(evaluation: "Evaluation") -> str:
    engine = evaluation.engine
    if not evaluation.scored:
        return "No row could be heard."
    said = [f"{name} {engine.parameters[name]}" for name in ("compute_type", "beam_size") if name in engine.parameters]
    return (
        f"{engine.model} ({', '.join([engine.name, *said])}): real-time factor {evaluation.real_time_factor:.3f}, "
        f"{evaluation.audio_s_per_cpu_s:.1f} s of audio a CPU second."
    )


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f} %"
