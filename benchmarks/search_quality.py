"""What search finds that was said otherwise: other forms of a word, and other words for the same.

Pairs of words and the questions were written for this page, by somebody who had not seen what the product finds; false
friends are words that begin alike and mean something else. The diaries are those of `diary eval notes`. Each question
has one right diary, and the rank of it is told.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb

from benchmarks.published import insert, published
from diary_pipeline.catalogue.search import search
from diary_pipeline.catalogue.search_index import SearchIndex
from diary_pipeline.catalogue.search_meaning import Embedder, embed_waiting
from diary_pipeline.catalogue.search_words import read_words
from diary_pipeline.cli.output import print_markdown_rows
from diary_pipeline.notes.embedding import weights
from diary_pipeline.notes.embedding.minilm import MiniLM
from diary_pipeline.notes.evidence.reference_notes import our_references
from diary_pipeline.settings import load_settings

FORMS: Mapping[str, str] = {
    "English": """walk:walked walk:walking walked:walk walks:walk walks:walking baked:baking bread:breads onions:onion
        onion:onions planted:plant plants:planting dog:dogs children:child child:children ran:run running:run
        run:running stories:story story:stories cried:crying promise:promised promised:promising worries:worried
        garden:gardens gardening:garden meeting:meetings meet:meeting letters:letter happy:happier tired:tiring
        swimming:swim swam:swim bought:buy potatoes:potato leaves:leaf hike:hiking hiking:hiked train:trains
        dance:dancing danced:dance painting:paint painter:painting cakes:cake knives:knife""",
    "German": """spaziergang:spaziergänge spaziergänge:spaziergang spaziergang:spaziergangs kaufen:kaufte kaufte:kaufen
        gekauft:kaufen garten:gärten gärten:garten gartens:garten brot:brote brote:brot kind:kinder kinder:kind
        kindern:kinder traum:träume träume:traum geträumt:träumen laufen:läuft laufe:laufen gelaufen:laufen
        freund:freunde freunde:freundin freundin:freundinnen brief:briefe briefe:briefen blume:blumen blumen:blume
        müde:müden schön:schöne schönen:schön arbeit:arbeiten arbeitete:arbeiten pflanze:pflanzen pflanzte:pflanzen
        zwiebel:zwiebeln zwiebeln:zwiebel apfel:äpfel äpfel:apfel wanderung:wanderungen wanderungen:wanderung
        wandern:gewandert haus:häuser arzt:ärztin garten:gartenarbeit apfel:apfelkuchen""",
    "French": """livre:livres livres:livre jardin:jardins promenade:promenades promener:promenée promené:promener
        ami:amis amie:amies content:contente contente:content parlé:parler parler:parlait voyage:voyages
        cheval:chevaux pomme:pommier maison:maisons travailler:travail""",
    "Spanish": """libro:libros libros:libro amigo:amiga amigos:amigo casa:casas comprar:compré compré:comprar
        caminar:caminando mercado:mercados cansado:cansada cansada:cansado tormenta:tormentas hablé:hablar""",
    "false friends": """bread:breakfast cat:category plan:plant plant:plan train:trainers park:parking car:carpet
        carpet:car rent:rental note:notice post:poster port:portrait office:official general:generous mother:moth
        father:fat butter:butterfly sun:sunday friend:friday hand:handle brot:brother kind:kindergarten land:landung
        wand:wandern arm:armut stein:steinzeit universe:university news:new sing:single sting:still""",
}
"""What is typed, and what was said."""

QUESTIONS: Mapping[str, str] = {
    "hospital work at night": "night shift",
    "my bike is gone": "bicycle theft",
    "baking a loaf": "bread",
    "colleagues lost their jobs": "redundancy",
    "high blood pressure doctor": "blood pressure",
    "fighting with my partner": "quarrel",
    "getting married": "wedding speech",
    "gale damaged our house": "storm",
    "expecting a baby daughter": "scan",
    "jogging training": "marathon plan",
    "learning a foreign language": "language course",
    "music rehearsal singing": "choir",
    "house without heating": "broken boiler",
    "picking fruit": "orchard",
    "giving away a puppy": "foster dog",
    "passing an exam to drive a car": "driving test",
    "teeth": "short, dentist",
    "ceramics": "pottery",
    "court": "jury duty",
    "mountain trek": "long, hike",
}
GERMAN: Mapping[str, str] = {
    "gestohlenes Fahrrad": "bicycle theft",
    "Brot backen": "bread",
    "Hochzeit": "wedding speech",
    "Zahnarzt": "short, dentist",
    "Schwangerschaft": "scan",
    "Sturm am Dach": "storm",
    "Chor": "choir",
    "Schnee": "short, snow",
}
ROMANCE: Mapping[str, str] = {
    "comprar fruta": "spanish, market",
    "amiga se va a otra ciudad": "spanish, market",
    "oiseaux sur la maison": "french, roof",
    "les ouvriers ont arrêté le travail": "french, roof",
}

SEARCH_FILE = "search.sqlite"
UNICODE = "unicode61 remove_diacritics 2"
SCHEMES: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "the word itself": (UNICODE, lambda word: read_words(word).expression),
    "Porter's stemmer": (f"porter {UNICODE}", lambda word: read_words(word).expression),
    "the word as a beginning": (UNICODE, lambda word: read_words(f"{word}*").expression),
    "the product: other forms last": (UNICODE, lambda word: read_words(word).widened.expression),
}


def main() -> None:
    """Print both tables."""
    rows = [
        (name, *(found_forms(*scheme, pairs.split()) for pairs in FORMS.values())) for name, scheme in SCHEMES.items()
    ]
    print_markdown_rows(("looked for", *FORMS), rows)
    root = load_settings({}).model_dir
    if not weights.is_here(root):
        print("\nNo MiniLM here: `diary models get minilm`.")
        return
    print()
    minilm = MiniLM(weights.find(root))
    columns = ("asked", "questions", "first by words", "in three", "first with meaning", "in three")
    with tempfile.TemporaryDirectory() as folder:
        live = references(Path(folder), minilm)
        rows = [
            (name, str(len(asked)), *_places(live, None, asked), *_places(live, minilm, asked))
            for name, asked in (
                ("English, of English diaries", QUESTIONS),
                ("German, of English diaries", GERMAN),
                ("Spanish and French, of theirs", ROMANCE),
            )
        ]
    print_markdown_rows(columns, rows)


def found_forms(tokenizer: str, question: Callable[[str], str], pairs: Sequence[str]) -> str:
    """Count the pairs of which one finds the other."""
    found = 0
    for pair in pairs:
        typed, said = pair.split(":")
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize = '{tokenizer}')")
            db.execute("INSERT INTO words VALUES (?)", [said])
            found += len(db.execute("SELECT 1 FROM words WHERE words MATCH ?", [question(typed)]).fetchall())
    return f"{found} of {len(pairs)}"


def references(folder: Path, embedder: Embedder) -> Path:
    """Publish the reference diaries in a folder, with a search file and vectors; return the published file."""
    live = folder / "catalogue.duckdb"
    notes, segments = [], []
    for one in our_references():
        notes.append((one.key, "me", one.day, one.note.title, one.note.summary))
        segments += [(one.key, "me", s.id, s.start_s, s.end_s, "speech", s.text) for s in one.transcript.speech]
    with published(live) as db:
        insert(db, "notes", "recording_key user_id note_date title summary", notes)
        insert(db, "segments", "recording_key user_id segment_id start_s end_s kind text", segments)
    index = SearchIndex(folder / SEARCH_FILE)
    with duckdb.connect(str(live), read_only=True) as db:
        index.follow(db, (), 1)
    embed_waiting(index, embedder, lambda _owner: False)
    return live


def place(live: Path, embedder: Embedder | None, asked: str, right: str) -> int | None:
    """Return the rank of the right diary; None: it is not found."""
    hits = search(live.with_name(SEARCH_FILE), live, asked, limit=50, embedder=embedder).hits
    return next((rank for rank, hit in enumerate(hits, 1) if hit.recording_key == right), None)


def _places(live: Path, embedder: Embedder | None, asked: Mapping[str, str]) -> tuple[str, str]:
    ranks = [place(live, embedder, question, right) for question, right in asked.items()]
    return str(ranks.count(1)), str(sum(rank is not None and rank <= 3 for rank in ranks))
