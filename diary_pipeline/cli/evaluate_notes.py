"""`diary eval notes`: what the checks of notes catch of errors that were planted and of errors that models made.

What surprises: no note of the diary is read, and no model is asked unless `--route` names one. The measure is taken on
diaries that come with the package, or on files of one's own; docs/notes-calibration.md shows what they look like.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from diary_pipeline.cli.output import EvalFormat, Format, print_json, print_markdown_rows, print_rows, say
from diary_pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from diary_pipeline.notes.evidence.calibration import Counted
    from diary_pipeline.notes.evidence.reference_notes import Half as Use
    from diary_pipeline.notes.evidence.reference_notes import Reference
    from diary_pipeline.notes.evidence.replay import Answer, Replayed

COLUMNS = ("errors", "kind", "wrong", "caught", "recall", "right", "flagged", "false_alarms", "target", "met")


class Half(StrEnum):
    """Which diaries count."""

    held_out = "held_out"
    choose = "choose"
    all = "all"


def notes(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help=".toml: diaries with good notes; .json or a folder: labelled answers. None: ours."),
    ] = None,
    half: Annotated[Half, typer.Option("--half", help="choose: what limits were chosen on; held_out: the rest.")] = (
        Half.held_out
    ),
    route: Annotated[
        str,
        typer.Option("--route", help="A route of DIARY_CONFIG that writes the notes; costs what its answers cost."),
    ] = "",
    missed: Annotated[
        bool, typer.Option("--missed", help="Name every bad item that was missed and good one flagged.")
    ] = (False),
    form: Annotated[
        EvalFormat, typer.Option("--format", "-f", help="What the rows are printed as.")
    ] = EvalFormat.table,
) -> None:
    """Count what the checks of notes catch, and how much of good notes they flag.

    Planted errors are put into notes that people wrote; real ones were made by models and labelled item by item. Bad
    items that were caught and good ones that were flagged are counted by kind. A file of your own shows what the checks
    are worth for your route.

      diary eval notes labelled/ --half all --format json > mine.json

    With --route its own notes of the diaries stand in for those that people wrote; a name or number flagged in them may
    be its invention. How many were taken, repaired and refused is told beside the table.

      diary eval notes --route home
    """
    references, answers = _read(files or [])
    chosen = None if half is Half.all else cast("Use", half.value)
    if route:
        _print_trial(route, [r for r in references if chosen in (None, r.half)], form)
        return
    from diary_pipeline.notes.evidence.calibration import planted_errors
    from diary_pipeline.notes.evidence.replay import real_errors, replay

    replayed = [r for r in replay(answers) if chosen in (None, r.answer.use)]
    tables = {
        "planted": planted_errors(references, chosen) if references else (),
        "real": real_errors(replayed) if replayed else (),
    }
    _print(tables, form)
    if missed:
        for line in _wrongly(replayed):
            say(line)


def _print_trial(route: str, references: "Sequence[Reference]", form: EvalFormat) -> None:
    from diary_pipeline.cli.evaluate_route import ended, sentence, tried
    from diary_pipeline.notes.evidence.calibration import planted_errors

    if not references:
        raise UsageError("references_missing", "There is no diary to write notes of; name a .toml file, or --half all.")
    trial = tried(route, references)
    found = ended(trial, route)
    # Errors are planted from other notes, so that one alone gives no table.
    planted = planted_errors(trial.written, None) if len(trial.written) > 1 else ()
    if form is EvalFormat.json:
        print_json({"drafts": found, "planted": [_flat(counted) for counted in planted]})
        return
    say(sentence(found))
    _print({"planted": planted}, form)


def _read(files: Sequence[Path]) -> tuple[Sequence["Reference"], Sequence["Answer"]]:
    from diary_pipeline.notes.evidence.reference_notes import our_references, read_references
    from diary_pipeline.notes.evidence.replay import our_answers, read_answer, read_answers

    if not files:
        return our_references(), our_answers()
    references: list[Reference] = []
    answers: list[Answer] = []
    for file in files:
        if not file.exists():
            raise UsageError("file_missing", f"There is no {file}; name .toml or .json files, or a folder.")
        if file.is_dir():
            answers += read_answers(file)
        elif file.suffix == ".toml":
            references += read_references(file.read_text(encoding="utf-8"))
        else:
            answers.append(read_answer(file))
    return references, answers


def _print(tables: "dict[str, tuple[Counted, ...]]", form: EvalFormat) -> None:
    rows = [(errors, *_cells(counted)) for errors, table in tables.items() for counted in table]
    match form:
        case EvalFormat.json:
            print_json({errors: [_flat(counted) for counted in table] for errors, table in tables.items()})
        case EvalFormat.csv:
            print_rows(COLUMNS, rows, Format.csv)
        case EvalFormat.markdown:
            print_markdown_rows(COLUMNS, rows)
        case EvalFormat.table:
            print_rows(COLUMNS, rows, Format.table)


def _cells(counted: "Counted") -> tuple[str, ...]:
    targets = [f">= {_percent(counted.least_caught)}"] if counted.least_caught is not None else []
    targets += [f"<= {_percent(counted.most_flagged)}"] if counted.most_flagged is not None else []
    return (
        counted.kind,
        str(counted.planted),
        str(counted.caught),
        _percent(counted.recall),
        str(counted.good),
        str(counted.flagged),
        _percent(counted.false_alarms),
        ", ".join(targets),
        ("yes" if counted.met else "no") if targets else "",
    )


def _flat(counted: "Counted") -> dict[str, object]:
    return {
        "kind": counted.kind,
        "wrong": counted.planted,
        "caught": counted.caught,
        "recall": counted.recall,
        "right": counted.good,
        "flagged": counted.flagged,
        "false_alarms": counted.false_alarms,
        "least_caught": counted.least_caught,
        "most_flagged": counted.most_flagged,
        "met": counted.met,
    }


def _wrongly(replayed: "Sequence[Replayed]") -> list[str]:
    return [
        f"{'flagged' if r.item.good else 'missed'} {r.answer.name} {r.item.field}: {r.item.text}"
        f" [{', '.join(r.faults) or r.item.type}]"
        for r in replayed
        if r.item.good == bool(r.faults)
    ]


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"
