"""CPU time of a note with the model's own time taken out, beside what a user would write instead.

The model is a server of the tests on loopback, in a process of its own, so that its CPU time is not counted. It answers
honest drafts over the OpenAI protocol, with seeded faults in 5 % each: no JSON, and a claim that nobody made.

The bare loop asks the same questions with the same SDK, 16 at once, and reads the JSON; it checks, repairs, stores and
counts nothing. Every contender does the same diaries in turn, in this process.
"""

import asyncio
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from rapidfuzz import fuzz

from diary_pipeline.core.owner import Owner
from diary_pipeline.ledger.opening import open_ledger
from diary_pipeline.notes.offline.notes import OfflineNotes
from diary_pipeline.notes.providers.exchange import Prompt
from diary_pipeline.notes.renderers.template import Templates
from diary_pipeline.notes.routed.acceptance import Acceptance
from diary_pipeline.notes.routed.notes import RoutedNotes
from diary_pipeline.notes.routed.work import Work
from diary_pipeline.notes.routing.answer_key import answer_key
from diary_pipeline.notes.routing.ledger_memory import LedgerMemory, LedgerPurse, StoredAnswers
from diary_pipeline.notes.routing.memory import Allowance, KeptAnswers, ProcessMemory
from diary_pipeline.notes.routing.outcome import Rejected
from diary_pipeline.notes.routing.route import Price, Route
from diary_pipeline.notes.routing.router import Router
from diary_pipeline.notes.writer import NoteWriter, ToWrite, Written
from diary_pipeline.observability.logs import configure_logging
from diary_pipeline.storage.folder import FolderStore
from diary_pipeline_tests.builders import make_recording, make_transcript
from diary_pipeline_tests.drafting import changed, honest
from diary_pipeline_tests.provider_servers import Asked, Reply, provider_server

NOTES = 1000
AT_ONCE = 16
FAULTY = 0.05
"""Of the answers, each of the two faults."""
ALIKE = 80
"""Of 100: nobody says nearly the same sentence twice, and a note that did would be told of it."""
STAGED = 200
"""Diaries that the stages are measured on, one after the other."""

_WHO = "Priya, Daniel, my sister, the baker, Mrs Okafor, my neighbour Gwen, an old teacher, the postman".split(", ")
_WHAT = "her new job, the broken window, a lost dog, the bridge, train tickets, the harvest, his garden".split(", ")
_WHERE = "at the harbour, near the library, under the chestnut tree, at the tram stop, beside the fountain".split(", ")
_TOLD = (
    "I met {who} {where} and we talked about {what} for {n} minutes.",
    "Around {n} o'clock it began to rain, so I waited {where}.",
    "I was tired in the afternoon, but thinking of {what} made me laugh.",
    "{who} called because of {what}, and we laughed about it.",
    "I need to ask {who} about {what} by Friday.",
    "Then I bought {n} lemons and some bread {where}.",
)


@dataclass(frozen=True)
class Cost:
    """What a contender took for all diaries."""

    cpu_s: float
    wall_s: float
    calls: int
    told: str = ""


def main() -> None:
    """Measure and print."""
    configure_logging("error", False)  # a line a note would bury the figures
    diaries = [_diary(n) for n in range(NOTES)]
    words = sum(len(asked.transcript.text.split()) for asked in diaries) / NOTES
    print(
        f"{NOTES} diaries of {words:.0f} words on average, {AT_ONCE} calls at once, SQLite ledger, a folder as store\n"
    )
    with _server() as (url, calls):
        route = Route("stub", "openai", "model-1", url, "key", price=Price(1.0, 2.0, "2026-11-22"), concurrency=AT_ONCE)
        prompts = [_work(asked).prompt(route) for asked in diaries]
        asyncio.run(_bare(route, prompts[:1]))  # importing the SDK is nobody's note
        _write(_routed(route, None), diaries[:1])
        costs = {
            "offline writer": _measured(lambda: _write(OfflineNotes(Owner, _forms), diaries), calls),
            "bare SDK loop": _measured(lambda: asyncio.run(_bare(route, prompts)), calls),
            "routed, nothing kept": _measured(lambda: _write(_routed(route, None), diaries), calls),
        }
        with tempfile.TemporaryDirectory(prefix="diary-bench-") as folder:
            costs["**routed**"] = _measured(lambda: _write(_routed(route, Path(folder)), diaries), calls)
            costs["routed, all answers kept before"] = _measured(
                lambda: _write(_routed(route, Path(folder)), diaries), calls
            )
    print("| | CPU ms a note | notes/s | calls | notes by a model | CPU to bare loop |\n|---|---|---|---|---|---|")
    bare = costs["bare SDK loop"]
    for name, cost in costs.items():
        cpu_ms, ratio = 1000 * cost.cpu_s / NOTES, cost.cpu_s / bare.cpu_s
        print(f"| {name} | {cpu_ms:.1f} | {NOTES / cost.wall_s:.0f} | {cost.calls} | {cost.told} | {ratio:.2f} |")
    print("\n| stage, one note after the other | CPU ms a note |\n|---|---|")
    for stage, cpu_ms in _stages(diaries[:STAGED], route).items():
        print(f"| {stage} | {cpu_ms:.2f} |")


def _diary(number: int) -> ToWrite:
    chance = np.random.default_rng(number)

    def said() -> str:
        pick = {name: some[chance.integers(len(some))] for name, some in (("who", _WHO), ("what", _WHAT))}
        sentence = _TOLD[chance.integers(len(_TOLD))].format(
            **pick, where=_WHERE[chance.integers(len(_WHERE))], n=chance.integers(2, 12)
        )
        return sentence[0].upper() + sentence[1:]

    recording = make_recording(file_name=f"memo {number}.m4a")
    texts: list[str] = []
    for text in (said() for _ in range(chance.integers(8, 30))):
        if all(fuzz.ratio(text, before) < ALIKE for before in texts):
            texts.append(text)
    return ToWrite(recording, make_transcript(texts, recording_key=recording.key))


def _forms(_: Owner) -> Templates:
    return Templates()


def _work(asked: ToWrite) -> Work:
    return Work(asked, OfflineNotes(Owner, _forms), ())


def _routed(route: Route, folder: Path | None) -> RoutedNotes:
    if folder is None:
        return RoutedNotes(
            [route], lambda _: Router([route], ProcessMemory(), lambda *_: KeptAnswers(), Allowance(1e6)), Owner, _forms
        )
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
    answers = StoredAnswers(FolderStore(folder / "objects"))

    def opened(run: str) -> Router:
        purse = LedgerPurse(ledger, run, run_usd=1e6, day_usd=1e6)
        return Router([route], LedgerMemory(ledger), answers.of, purse)

    return RoutedNotes([route], opened, Owner, _forms)


def _write(writer: NoteWriter, diaries: Sequence[ToWrite]) -> str:
    by_model = 0
    for key, outcome in writer.write(diaries, "run-1"):
        if not isinstance(outcome, Written):
            raise SystemExit(f"{key} got no note: {outcome}")
        by_model += outcome.note.writer == "llm"
    return str(by_model) if writer.writer == "llm" else ""


async def _bare(route: Route, prompts: Sequence[Prompt]) -> str:
    """Write notes as the README of the SDK shows it."""
    from openai import AsyncOpenAI

    room = asyncio.Semaphore(AT_ONCE)

    async with AsyncOpenAI(base_url=route.base_url, api_key="key", max_retries=2) as client:

        async def one(prompt: Prompt) -> int:
            async with room:
                answer = await client.chat.completions.create(
                    model=route.model,
                    messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
                    response_format={
                        "type": "json_schema",
                        "json_schema": {"name": "note", "schema": dict(prompt.schema), "strict": True},
                    },
                    max_tokens=prompt.max_output_tokens,
                )
            try:
                return bool(json.loads(answer.choices[0].message.content or ""))
            except ValueError:
                return False

        return str(sum(await asyncio.gather(*map(one, prompts))))


def _measured(work: Callable[[], str], calls: Callable[[], int]) -> Cost:
    before, began, cpu = calls(), time.perf_counter(), time.process_time()
    told = work()
    return Cost(time.process_time() - cpu, time.perf_counter() - began, calls() - before, told)


def _stages(diaries: Sequence[ToWrite], route: Route) -> dict[str, float]:
    spent = dict.fromkeys(
        ("words looked up", "question and its key", "an honest answer judged", "a lie found out"), 0.0
    )

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        spent[name] += 1000 * (time.process_time() - began) / len(diaries)

    for asked in diaries:
        work = _work(asked)
        with stage("words looked up"):
            _ = work.spoken.snapper, work.said
        with stage("question and its key"):
            prompt = work.prompt(route)
            answer_key(route, prompt)
        question = Asked(
            "", {}, {"response_format": prompt.schema, "system": prompt.system, "messages": [{"content": prompt.user}]}
        )
        truth, lie = honest(question), _lie(question)
        with stage("an honest answer judged"), suppress(Rejected):
            Acceptance(work)(truth, route)
        with stage("a lie found out"), suppress(Rejected):
            Acceptance(work)(lie, route)
    return spent


def _lie(asked: Asked) -> str:
    return changed(asked, people=["Bartholomew"], title="Dinner with Ottoline in Reykjavik")


def _answer(asked: Asked) -> str:
    """Answer honestly, but for a share of questions: which ones, their words decide."""
    chance = np.random.default_rng(list(asked.text.encode()[-400:])).random()
    if chance < FAULTY:
        return '{"title": "cut'
    return _lie(asked) if chance < 2 * FAULTY else honest(asked)


def _serve(told: Connection) -> None:
    with provider_server("openai") as double:
        double.otherwise = Reply(_answer)
        told.send(double.url)
        while told.recv():
            told.send(len(double.asked))


@contextmanager
def _server() -> Iterator[tuple[str, Callable[[], int]]]:
    """Run the model in another process; give its address, and how often it was asked."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,))
    process.start()

    def calls() -> int:
        here.send(True)
        return int(here.recv())

    try:
        yield here.recv(), calls
    finally:
        here.send(False)
        process.join()
